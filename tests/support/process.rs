//! The gateway as a process of its own, for what cannot be measured inside the test's: memory, and file descriptors.

pub struct GatewayProcess;
