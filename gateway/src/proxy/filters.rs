//! Third and sixth step: filters see the request in the route's order, and the response in reverse.
//!
//! A pool's policies may play these roles too; they come behind the filters. A policy's fault never costs the
//! request; a filter's fault costs what its `on_fault` says.

use std::rc::Rc;

use super::error::Error;
use super::exchange::{Answer, Exchange};
use crate::plugin::{Decision, Instances, OnFault, Roles, Verdict};

impl<'a> Exchange<'a> {
    /// Lets routers decide on the pool, and filters edit the request. Some: a plugin answers in place of a node.
    pub(super) fn filter_request(&mut self) -> Result<Option<Answer>, Error> {
        let view = self.view;
        let mut is_chosen = false;
        for &place in self.route.map_or(&[][..], |route| &route.filters) {
            let instances = &view.instances[place as usize];
            if let Some(answer) = self.play_on_request(instances, &mut is_chosen)? {
                return Ok(Some(answer));
            }
            self.filtered += 1;
        }
        let candidates = view.pools[self.pool as usize].candidates.clone();
        self.context_mut().selection.begin(candidates);
        self.policies_filtered = true;
        for &place in &view.pool(self.pool).policies {
            let instances = &view.instances[place as usize];
            if instances.use_().module.roles.contains(Roles::FILTER)
                && let Ok(Verdict::Answer(status)) = instances.on_request(&mut self.context)
            {
                return Ok(Some(Answer::Plugin(status)));
            }
        }
        Ok(None)
    }

    fn play_on_request(
        &mut self,
        instances: &Rc<Instances>,
        is_chosen: &mut bool,
    ) -> Result<Option<Answer>, Error> {
        let roles = instances.use_().module.roles;
        if roles.contains(Roles::ROUTER) && !*is_chosen {
            match instances.route(&mut self.context) {
                Ok(Decision::GoOn) => {}
                Ok(Decision::Pool(name)) => match self.view.snapshot.pool_named(&name) {
                    Some(pool) => {
                        self.pool = pool;
                        self.context_mut().pool = self.view.pools[pool as usize].name.clone();
                        *is_chosen = true;
                    }
                    None => {
                        instances.disown_pool(&self.context, &name);
                        forgive(instances).map_err(|_| Error::UnknownPool(name))?;
                    }
                },
                Ok(Decision::Answer(status)) => return Ok(Some(Answer::Plugin(status))),
                Ok(Decision::Redirect { status, location }) => {
                    let field = (b"location"[..].into(), location.into_bytes().into_boxed_slice());
                    self.context_mut().reply.fields.push(field);
                    return Ok(Some(Answer::Plugin(status)));
                }
                Err(_) => forgive(instances)?,
            }
        }
        if roles.contains(Roles::FILTER) {
            match instances.on_request(&mut self.context) {
                Ok(Verdict::GoOn) => {}
                Ok(Verdict::Answer(status)) => return Ok(Some(Answer::Plugin(status))),
                Err(_) => forgive(instances)?,
            }
        }
        Ok(None)
    }

    /// Lets those who saw the request see the response. Some: a plugin answers in place of what there was.
    pub(super) fn filter_response(&mut self) -> Result<Option<u16>, Error> {
        let view = self.view;
        if self.policies_filtered {
            for &place in view.pool(self.pool).policies.iter().rev() {
                let instances = &view.instances[place as usize];
                if instances.use_().module.roles.contains(Roles::FILTER)
                    && let Ok(Verdict::Answer(status)) = instances.on_response(&mut self.context)
                {
                    return Ok(Some(status));
                }
            }
        }
        let filters = self.route.map_or(&[][..], |route| &route.filters);
        for &place in filters[..self.filtered].iter().rev() {
            let instances = &view.instances[place as usize];
            if !instances.use_().module.roles.contains(Roles::FILTER) {
                continue;
            }
            match instances.on_response(&mut self.context) {
                Ok(Verdict::GoOn) => {}
                Ok(Verdict::Answer(status)) => return Ok(Some(status)),
                Err(_) => forgive(instances)?,
            }
        }
        Ok(None)
    }

    /// Tells everybody who watches how an attempt went.
    pub(super) fn observe_attempt(&mut self) {
        let view = self.view;
        let filters = self.route.map_or(&[][..], |route| &route.filters);
        for &place in filters.iter().chain(&view.pool(self.pool).policies) {
            let instances = &view.instances[place as usize];
            if instances.use_().module.roles.contains(Roles::OBSERVER) {
                // A fault is counted and logged by the host; there is nothing to decide here.
                let _ = instances.on_complete(&mut self.context);
            }
        }
    }
}

/// What a filter's fault costs.
fn forgive(instances: &Instances) -> Result<(), Error> {
    let spec = &instances.use_().spec;
    match spec.on_fault {
        OnFault::Skip => Ok(()),
        OnFault::Fail => Err(Error::PluginFault(spec.name.to_string())),
    }
}
