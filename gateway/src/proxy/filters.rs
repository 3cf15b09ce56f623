//! Third and sixth step: filters see the request in the route's order, and the response in reverse.
//!
//! A pool's policies may play these roles too; they come behind the filters. A policy's fault never costs the
//! request; a filter's fault costs what its `on_fault` says.

use super::error::Error;
use super::exchange::{Answer, Exchange};
use crate::plugin::{Decision, Instances, OnFault, Roles, Verdict};

impl<'a> Exchange<'a> {
    /// Lets routers decide on the pool, and filters edit the request. Some: a plugin answers in place of a node.
    pub(super) async fn filter_request(&mut self) -> Result<Option<Answer>, Error> {
        let view = self.view;
        let mut is_chosen = false;
        for &place in self.route.map_or(&[][..], |route| &route.filters) {
            let instances = &view.instances[place as usize];
            if let Some(answer) = self.play_on_request(instances, &mut is_chosen).await? {
                return Ok(Some(answer));
            }
            self.filtered += 1;
        }
        self.begin_selection();
        self.policies_filtered = true;
        for (index, &place) in view.pool(self.pool).policies.iter().enumerate() {
            let instances = &view.instances[place as usize];
            if !instances.plays(Roles::FILTER) {
                continue;
            }
            let (context, patience) = self.lend();
            match patience.outlast(instances.on_request(context)).await? {
                Ok(Verdict::Answer(status)) => return Ok(Some(Answer::Plugin(status))),
                Ok(Verdict::Done) => self.policies_done.note(index),
                // A policy's fault never costs the request.
                Ok(Verdict::GoOn) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Lets the pool's nodes stand for the picks to come.
    pub(super) fn begin_selection(&mut self) {
        let view = self.view;
        let candidates = view.pools[self.pool as usize].candidates.clone();
        let selection = &mut self.context_mut().selection;
        selection.begin(candidates);
        selection.stand_in(view.zone.as_ref());
    }

    async fn play_on_request(
        &mut self,
        instances: &Instances,
        is_chosen: &mut bool,
    ) -> Result<Option<Answer>, Error> {
        if instances.plays(Roles::ROUTER) && !*is_chosen {
            let (context, patience) = self.lend();
            match patience.outlast(instances.route(context)).await? {
                Ok(Decision::GoOn) => {}
                Ok(Decision::Pool(name)) => match self.view.snapshot.pool_named(&name) {
                    Some(pool) => {
                        self.pool = pool;
                        let name = &self.view.pools[pool as usize].name;
                        self.context_mut().set_pool(name);
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
        if instances.plays(Roles::FILTER) {
            let (context, patience) = self.lend();
            match patience.outlast(instances.on_request(context)).await? {
                Ok(Verdict::GoOn) => {}
                Ok(Verdict::Done) => self.filters_done.note(self.filtered),
                Ok(Verdict::Answer(status)) => return Ok(Some(Answer::Plugin(status))),
                Err(_) => forgive(instances)?,
            }
        }
        Ok(None)
    }

    /// Lets those who saw the request see the response. Some: a plugin answers in place of what there was.
    pub(super) async fn filter_response(&mut self) -> Result<Option<u16>, Error> {
        let view = self.view;
        if self.policies_filtered {
            for (index, &place) in view.pool(self.pool).policies.iter().enumerate().rev() {
                let instances = &view.instances[place as usize];
                if !self.policies_done.contains(index)
                    && !self.policies_spared.contains(index)
                    && instances.plays(Roles::FILTER)
                    && let Ok(Verdict::Answer(status)) = instances.on_response(&mut self.context).await
                {
                    return Ok(Some(status));
                }
            }
        }
        let filters = self.route.map_or(&[][..], |route| &route.filters);
        for (index, &place) in filters[..self.filtered].iter().enumerate().rev() {
            let instances = &view.instances[place as usize];
            if !instances.plays(Roles::FILTER) || self.filters_done.contains(index) {
                continue;
            }
            match instances.on_response(&mut self.context).await {
                Ok(Verdict::GoOn | Verdict::Done) => {}
                Ok(Verdict::Answer(status)) => return Ok(Some(status)),
                Err(_) => forgive(instances)?,
            }
        }
        Ok(None)
    }

    /// Tells everybody who watches how an attempt went.
    pub(super) async fn observe_attempt(&mut self) {
        let view = self.view;
        let filters = self.route.map_or(&[][..], |route| &route.filters);
        for &place in filters.iter().chain(&view.pool(self.pool).policies) {
            let instances = &view.instances[place as usize];
            if instances.plays(Roles::OBSERVER) {
                // A fault is counted and logged by the host; there is nothing to decide here.
                let _ = instances.on_complete(&mut self.context).await;
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

/// A set of places in a list of plugins. Only the first 64 places can be noted; for those behind nothing is spared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places(u64);

impl Places {
    pub(super) fn note(&mut self, place: usize) {
        self.0 |= 1_u64.checked_shl(place as u32).unwrap_or(0);
    }

    fn contains(self, place: usize) -> bool {
        place < 64 && self.0 >> place & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_behind_the_last_bit_are_never_noted() {
        let mut places = Places::default();
        [0, 63, 64, 200].into_iter().for_each(|place| places.note(place));
        let noted: Vec<usize> = (0..300).filter(|&place| places.contains(place)).collect();
        assert_eq!(noted, [0, 63]);
    }
}
