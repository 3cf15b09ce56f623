//! Values with variables: "{client} via {pool}". They are parsed once, and filled for each message.

use std::borrow::Cow;

use bascule_plugin::prelude::*;

/// Where a value is used: a node is known only in responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Request,
    Response,
}

/// A value, parsed.
#[derive(Debug)]
pub(crate) enum Template {
    Fixed(String),
    Mixed(Vec<Piece>),
}

#[derive(Debug)]
pub(crate) enum Piece {
    Text(String),
    Variable(Variable),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Variable {
    Client,
    Route,
    Pool,
    RequestId,
    Node,
    Host,
    Method,
    Path,
    Scheme,
}

impl Template {
    /// Parses a value; an error says what to write.
    pub(crate) fn parse(value: &str, phase: Phase) -> Result<Self, String> {
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err("a value has no line breaks and no NUL; write it on one line".into());
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            if let Some(literal) = after.strip_prefix('{') {
                text.push('{');
                rest = literal;
                continue;
            }
            let Some((name, after)) = after.split_once('}') else {
                return Err("a `{` has no `}` after it; write `{{` for a brace".into());
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Variable(variable(name, phase)?));
            rest = after;
        }
        text.push_str(rest);
        if pieces.is_empty() {
            return Ok(Self::Fixed(text));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self::Mixed(pieces))
    }

    /// The value for this request.
    pub(crate) fn fill(&self, request: &Request) -> Cow<'_, [u8]> {
        match self {
            Self::Fixed(text) => Cow::Borrowed(text.as_bytes()),
            Self::Mixed(pieces) => Cow::Owned(fill(pieces, request)),
        }
    }
}

fn fill(pieces: &[Piece], request: &Request) -> Vec<u8> {
    let mut filled = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => filled.extend_from_slice(text.as_bytes()),
            Piece::Variable(variable) => filled.extend_from_slice(&read(*variable, request)),
        }
    }
    filled
}

fn read(variable: Variable, request: &Request) -> Value {
    match variable {
        Variable::Client => request.client_address().into(),
        Variable::Route => request.route().into(),
        Variable::Pool => request.pool().into(),
        Variable::RequestId => request.id().into(),
        Variable::Node => request.node().unwrap_or_default().into(),
        Variable::Host => without_port(request.authority()),
        Variable::Method => request.method().into(),
        Variable::Path => request.path(),
        Variable::Scheme => request.scheme().into(),
    }
}

/// The host of an authority; an IPv6 address keeps its brackets.
fn without_port(authority: Value) -> Value {
    let mut host = authority.into_bytes();
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let colon = host.len() - digits;
    if colon > 0 && host[colon - 1] == b':' {
        host.truncate(colon - 1);
    }
    host.into()
}

fn variable(name: &str, phase: Phase) -> Result<Variable, String> {
    Ok(match name {
        "client" => Variable::Client,
        "route" => Variable::Route,
        "pool" => Variable::Pool,
        "request_id" => Variable::RequestId,
        "node" if phase == Phase::Request => {
            return Err("`{node}` is known only in responses; move the line to `response`".into());
        }
        "node" => Variable::Node,
        "host" => Variable::Host,
        "method" => Variable::Method,
        "path" => Variable::Path,
        "scheme" => Variable::Scheme,
        _ => {
            let known = "client, route, pool, request_id, node, host, method, path, scheme";
            return Err(
                ["there is no variable `{", name, "}`; write ", known, ", or `{{` for a brace"].concat()
            );
        }
    })
}
