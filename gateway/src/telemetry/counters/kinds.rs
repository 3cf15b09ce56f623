//! What happens to requests, as words: enums whose variants index an array of counters and name a label's values.

/// Declares an enum whose variants index an array of counters and name a label's values.
macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Each of them, in the order of the declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The word in metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

kinds! {
    /// Why the gateway answered a request itself, or could not.
    ErrorKind {
        /// The client's message breaks HTTP.
        BadRequest = "bad_request",
        /// The client's head is over a limit.
        HeadTooLarge = "head_too_large",
        /// The client's body is over the route's limit.
        BodyTooLarge = "body_too_large",
        /// The client was too slow with its request, or did not take its response.
        ClientTimeout = "client_timeout",
        /// The client went away before it had its answer.
        ClientGone = "client_gone",
        /// The connection's certificate is another host's.
        Misdirected = "misdirected",
        /// No route matched.
        NoRoute = "no_route",
        /// The pool has no node that may be picked.
        NoNode = "no_node",
        /// Where the client's session is could not be asked, and it is not to go elsewhere.
        SessionStore = "session_store",
        /// A policy refused the request.
        Rejected = "rejected",
        /// The pool was full, and so was its queue.
        QueueFull = "queue_full",
        /// The pool was full for as long as a request may wait.
        QueueTimeout = "queue_timeout",
        /// The process has no memory for more.
        Memory = "memory",
        /// No connection to a node could be made.
        Connect = "connect",
        /// The node ended the connection before its answer was whole.
        Reset = "reset",
        /// A connection to a node did not come about in time.
        ConnectTimeout = "connect_timeout",
        /// The node had the request and did not begin to answer in time.
        FirstByteTimeout = "first_byte_timeout",
        /// The last attempt took too long.
        AttemptTimeout = "attempt_timeout",
        /// All attempts together took too long.
        Timeout = "timeout",
        /// The node's response stood still for too long.
        BetweenBytesTimeout = "between_bytes_timeout",
        /// Nothing moved in a tunnel for too long.
        TunnelTimeout = "tunnel_timeout",
        /// The request took too long as a whole.
        TotalTimeout = "total_timeout",
        /// The node's answer breaks HTTP.
        Protocol = "protocol",
        /// A plugin failed and its configuration says that the request fails with it.
        Plugin = "plugin",
        /// The gateway's own fault.
        Internal = "internal",
    }
}

kinds! {
    /// Why a request was sent again.
    RetryReason {
        /// No connection could be made.
        Connect = "connect",
        /// The node closed or reset the connection before it answered.
        Reset = "reset",
        /// The node did not answer within the limits of one attempt.
        Timeout = "timeout",
        /// The node's answer breaks HTTP.
        Malformed = "malformed",
        /// The node answered with a status that is tried again.
        Status = "status",
        /// The node closed a kept connection just as it was used again; the same node was asked once more.
        Reused = "reused",
    }
}

kinds! {
    /// Why a request was not sent again although its attempt failed in a way that is tried again.
    RetryRefusal {
        /// The node may have done what a request with this method asks for, which must not be done twice.
        Method = "method",
        /// A part of the request's body is no longer at hand.
        Body = "body",
        /// An informational response was passed on already.
        Begun = "begun",
        /// The pool's attempts were used up.
        Attempts = "attempts",
        /// Every node of the pool was tried.
        NoNode = "no_node",
        /// The pool's budget for retries is used up.
        Budget = "budget",
    }
}

kinds! {
    /// What came of a second attempt that was due beside the first.
    HedgeOutcome {
        /// It answered first.
        Won = "won",
        /// The first attempt did, or the client left.
        Lost = "lost",
        /// It failed while the first attempt went on, or with it.
        Failed = "failed",
        /// There was no other node for it.
        NoNode = "no_node",
        /// The pool's budget for retries is used up.
        Budget = "budget",
    }
}

kinds! {
    /// Why the native round robin picked instead of a pool's last policy.
    FallbackReason {
        /// It had no opinion.
        Abstain = "abstain",
        /// It named a candidate that there is not.
        BadIndex = "bad_index",
        /// It ended in a trap.
        Trap = "trap",
        /// It took too long.
        Deadline = "deadline",
        /// All its instances were busy.
        Busy = "busy",
        /// It was not asked, since it failed too often.
        Quarantined = "quarantined",
    }
}

kinds! {
    /// Why a pool turned a request away that it has no room for.
    Refusal {
        /// As many wait already as may.
        QueueFull = "queue_full",
        /// It waited for as long as it may.
        QueueTimeout = "queue_timeout",
        /// The process has no memory for more.
        Memory = "memory",
    }
}

kinds! {
    /// Why a client's connection was turned away.
    NoRoom {
        /// As many are open as there are descriptors for.
        Descriptors = "descriptors",
        /// The process has no memory for more.
        Memory = "memory",
        /// The listener has as many as it takes.
        Listener = "listener",
        /// The client has as many as it may.
        Client = "client",
    }
}

kinds! {
    /// What the front door refused a client, by what the client did.
    Refused {
        /// Where its request ends is not clear.
        Framing = "framing",
        /// A line, a name or a value of its request breaks HTTP.
        Syntax = "syntax",
        /// What it asks for has no valid form, or a path that servers read in different ways.
        Target = "target",
        /// Which host it asks for is not clear.
        Host = "host",
        /// It asked for what the gateway does not do: a version, method, coding or expectation.
        Unsupported = "unsupported",
        /// Its request line is too long.
        TargetTooLong = "target_too_long",
        /// Its head is too long, or has too many fields.
        HeadTooLarge = "head_too_large",
        /// Its body is over the route's limit.
        BodyTooLarge = "body_too_large",
        /// It asked for another host than its connection is for.
        Misdirected = "misdirected",
        /// Its head did not come in time.
        SlowHead = "slow_head",
        /// Its body stood still or trickled.
        SlowBody = "slow_body",
        /// It did not take its response, or let it trickle.
        SlowRead = "slow_read",
        /// Its TLS handshake was not good enough.
        Handshake = "handshake",
        /// Its TLS handshake did not end in time.
        SlowHandshake = "slow_handshake",
        /// There was no room for its connection.
        NoRoom = "no_room",
        /// Its connection has to begin with a PROXY header, and began with something else.
        ProxyHeaderMissing = "proxy_header_missing",
        /// Its PROXY header is not understood whole.
        ProxyHeaderMalformed = "proxy_header_malformed",
        /// Its PROXY header did not come in time.
        SlowProxyHeader = "slow_proxy_header",
        /// Its connection would be passed through, but its TLS greeting did not come in time.
        SlowGreeting = "slow_greeting",
        /// That greeting is too long.
        GreetingTooLong = "greeting_too_long",
        /// It names nobody, and no route is for such connections.
        GreetingNameless = "greeting_nameless",
        /// No route is for the name in it.
        GreetingUnrouted = "greeting_unrouted",
        /// Its HTTP/2 broke the protocol, which ended the connection; as do all that follow.
        Http2Protocol = "http2_protocol",
        /// It gave up one request after the other (Rapid Reset, CVE-2023-44487).
        Http2Resets = "http2_resets",
        /// It made the gateway reset one stream after the other (MadeYouReset, CVE-2025-8671).
        Http2ProvokedResets = "http2_provoked_resets",
        /// Too many frames with little or nothing of a body in them.
        Http2Data = "http2_data",
        /// A head in too many pieces.
        Http2Continuations = "http2_continuations",
        /// A head that unpacks to far more than the limit.
        Http2HeadTooLarge = "http2_head_too_large",
        /// Too many PINGs.
        Http2Pings = "http2_pings",
        /// Too many SETTINGS.
        Http2Settings = "http2_settings",
        /// Too many PRIORITYs.
        Http2Priorities = "http2_priorities",
        /// Too many WINDOW_UPDATEs for what it was sent.
        Http2WindowUpdates = "http2_window_updates",
        /// Too many frames of types that nobody knows.
        Http2Unknown = "http2_unknown",
        /// It did not take what was waiting for it in the connection.
        Http2Stalled = "http2_stalled",
    }
}

kinds! {
    /// What came of a node's load report. Those that came too soon after another are not looked at and not counted.
    LoadReport {
        /// Its numbers are known to policies.
        Taken = "taken",
        /// It is in a form that is not read, or not as its form says.
        Unreadable = "unreadable",
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::QueueFull => "the pool is full, and so is its queue",
            Refusal::QueueTimeout => "the pool was full for as long as a request may wait",
            Refusal::Memory => "the process has no memory for more",
        })
    }
}

kinds! {
    /// What came of the PROXY header that a peer has to send.
    ProxyHeader {
        /// It told whose the connection is.
        Told = "told",
        /// It told that its sender does not know, or speaks for itself.
        Unknown = "unknown",
        /// There was none, or it was malformed.
        Refused = "refused",
        /// It took too long.
        Late = "timeout",
        /// The peer went away.
        Gone = "gone",
    }
}

kinds! {
    /// What came of a client's TLS handshake.
    HandshakeOutcome {
        /// It was made.
        Made = "made",
        /// It proved a name to an ACME server.
        Proof = "acme",
        /// What the client offered, showed or spoke was not good enough.
        Refused = "refused",
        /// It took too long.
        Late = "timeout",
        /// The client went away.
        Gone = "gone",
    }
}
