//! The same where sessions are elsewhere: what is known here is answered at once, for the rest the instance waits.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::WasmStr;

use super::{Bind, Binding, Call, Instance, Place, StoreError, failed, learn_cookie, owner};
use crate::plugin::host::Host;
use crate::plugin::imports::wait::wait;
use crate::plugin::use_::Use;
use crate::store::sessions::FailMode;
use crate::store::{self, Now, Owner, Sessions};

/// What an import answers.
type Answer<T> = wasmtime::Result<(Result<T, StoreError>,)>;

pub(in crate::plugin::imports) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap_async("get", |call: Call<'_>, (token,): (WasmStr,)| Box::new(get(call, token)))?;
    instance.func_wrap_async("bound-by-cookie", |call: Call<'_>, (cookie,): (WasmStr,)| {
        Box::new(bound_by_cookie(call, cookie))
    })?;
    instance.func_wrap_async("bind", |call: Call<'_>, asked: Bind| Box::new(bind(call, asked)))?;
    instance.func_wrap_async("forget", |call: Call<'_>, (token,): (WasmStr,)| Box::new(forget(call, token)))
}

async fn get(mut call: Call<'_>, token: WasmStr) -> Answer<Option<Arc<str>>> {
    let token = token.to_str(&call)?;
    let host = call.data();
    if let Now::Known(node) =
        host.owner.services.sessions.get_now(&owner(host), token.as_bytes(), host.context.now)
    {
        return Ok((Ok(node),));
    }
    let token = token.into_owned();
    Ok((look_up(&mut call, token).await,))
}

async fn bound_by_cookie(mut call: Call<'_>, cookie: WasmStr) -> Answer<Option<Place>> {
    let cookie = cookie.to_str(&call)?;
    let host = call.data();
    learn_cookie(host, &cookie);
    let Some(token) = host.context.token(&cookie) else { return Ok((Ok(None),)) };
    let node = match host.owner.services.sessions.get_now(&owner(host), token, host.context.now) {
        Now::Known(node) => Ok(node),
        Now::Ask => match std::str::from_utf8(token) {
            Ok(token) => {
                let token = token.to_owned();
                look_up(&mut call, token).await
            }
            Err(_) => Ok(None),
        },
    };
    Ok((node.map(|node| node.map(|id| Place::of(call.data_mut(), id))),))
}

/// Asks the store where a token is bound to.
async fn look_up(call: &mut Call<'_>, token: String) -> Result<Option<Arc<str>>, StoreError> {
    let asking = Asking::of(call.data());
    let node = wait(call, async move { asking.sessions().get(&asking.owner(), &token).await }).await;
    let host = call.data_mut();
    let refuses = host.owner.services.sessions.fail_mode() == FailMode::Refuse;
    host.context.session_lost |= refuses && node == Err(store::StoreError::Unavailable);
    node.map_err(|why| failed(host, why))
}

async fn bind(mut call: Call<'_>, (old, node, ttl_ms, replaces): Bind) -> Answer<Binding> {
    let read = |text: &WasmStr| text.to_str(&call).map(Cow::into_owned);
    let (old, replaces) = (old.as_ref().map(read).transpose()?, replaces.as_ref().map(read).transpose()?);
    let (node, life) = (read(&node)?, Duration::from_millis(ttl_ms));
    let asking = Asking::of(call.data());
    let bound = wait(&mut call, async move {
        let (sessions, owner) = (asking.sessions(), asking.owner());
        sessions.bind(&owner, old.as_deref(), &node, life, replaces.as_deref()).await
    });
    let bound = bound.await.map(Binding::from);
    Ok((bound.map_err(|why| failed(call.data_mut(), why)),))
}

async fn forget(mut call: Call<'_>, token: WasmStr) -> Answer<()> {
    let token = token.to_str(&call)?.into_owned();
    let asking = Asking::of(call.data());
    let forgotten =
        wait(&mut call, async move { asking.sessions().forget(&asking.owner(), &token).await }).await;
    Ok((forgotten.map_err(|why| failed(call.data_mut(), why)),))
}

/// Who asks: what the question has to keep, since the instance is not at hand while it waits.
struct Asking {
    owner: Arc<Use>,
    pool: Arc<str>,
}

impl Asking {
    fn of(host: &Host) -> Asking {
        Asking { owner: Arc::clone(&host.owner), pool: Arc::clone(&host.context.pool) }
    }

    fn sessions(&self) -> &Sessions {
        &self.owner.services.sessions
    }

    fn owner(&self) -> Owner<'_> {
        self.owner.sessions_in(&self.pool)
    }
}
