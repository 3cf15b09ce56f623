//! How an import waits: the instance is suspended, and the worker goes on with something else.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::Call;
use crate::plugin::deadline;
use crate::store::StoreError;

/// Awaits a store's answer; one that is there at once costs nothing. The plugin's time does not run meanwhile, and when it goes
/// on, it is later.
pub(in crate::plugin) async fn wait<T>(
    call: &mut Call<'_>,
    answer: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let mut answer = pin!(answer);
    let at_once = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    if let Poll::Ready(answer) = at_once {
        return answer;
    }
    if !call.data().stage.may_wait() {
        return Err(StoreError::Unavailable);
    }
    call.data_mut().meter.pause();
    let answer = answer.await;
    // A deadline in ticks is one in wall time. Those that passed meanwhile are not the call's.
    call.set_epoch_deadline(1);
    let host = call.data_mut();
    host.pulse.beat();
    deadline::look(host.pulse.ticks());
    host.context.now = Instant::now();
    answer
}
