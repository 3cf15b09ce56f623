//! What callgrind writes, with neither names nor positions compressed: instructions by address, and calls by where they stand.

use std::collections::HashMap;

/// Instructions that were executed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Profile {
    /// In the whole process, libraries included.
    pub(super) total: u64,
    /// By the address of the instruction, in the program itself; addresses are those in its file.
    pub(super) own: HashMap<u64, u64>,
    pub(super) calls: Vec<Call>,
}

/// A call from the program's own code, as often as it was made.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    /// The address of the instruction that calls.
    pub(super) from: u64,
    /// The function that is called, if it is one of the program.
    pub(super) to: Option<u64>,
    /// The instructions of what was called, and of all that it called.
    pub(super) cost: u64,
}

impl Profile {
    /// All addresses of the program that mean something, in no order.
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        let called = self.calls.iter().flat_map(|call| [Some(call.from), call.to]).flatten();
        self.own.keys().copied().chain(called)
    }
}

/// Reads a dump; `program` is the path of the executable. None if it is not one.
pub(super) fn parse(text: &str, program: &str) -> Option<Profile> {
    let mut lines = text.lines();
    lines.find(|line| *line == "positions: instr line")?;
    let mut profile = Profile::default();
    let (mut is_program, mut callee_is_program) = (false, None);
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_program = object == program;
        } else if let Some(object) = line.strip_prefix("cob=") {
            callee_is_program = Some(object == program);
        } else if let Some(call) = line.strip_prefix("calls=") {
            let to = address(call.split(' ').nth(1)?)?;
            let (from, cost) = cost(lines.next()?)?;
            // Without a name of its own the callee is in the caller's object.
            let to = callee_is_program.take().unwrap_or(is_program).then_some(to);
            if is_program {
                profile.calls.push(Call { from, to, cost });
            }
        } else if line.starts_with("0x") {
            let (at, cost) = cost(line)?;
            profile.total += cost;
            if is_program {
                *profile.own.entry(at).or_default() += cost;
            }
        }
    }
    Some(profile)
}

/// `ADDRESS LINE COUNT`.
fn cost(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split(' ');
    let (at, _, count) = (words.next()?, words.next()?, words.next()?);
    Some((address(at)?, count.parse().ok()?))
}

fn address(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_instructions_and_calls_are_told_apart() {
        let dump = "version: 1\npositions: instr line\nevents: Ir\n\nob=/bin/gateway\nfn=serve\n0x10 7 4\n0x14 7 4\ncfn=check\ncalls=4 0x40 3\n\
                    0x14 7 80\ncob=/lib/libc.so\ncfn=memcpy\ncalls=4 0x900 0\n0x18 8 40\n0x10 7 1\n\nob=/lib/libc.so\nfn=memcpy\n0x900 0 40\n";
        let profile = parse(dump, "/bin/gateway").expect("a dump");
        assert_eq!(profile.total, 49);
        assert_eq!(profile.own, HashMap::from([(0x10, 5), (0x14, 4)]));
        let calls = [Call { from: 0x14, to: Some(0x40), cost: 80 }, Call { from: 0x18, to: None, cost: 40 }];
        assert_eq!(profile.calls, calls);
        assert_eq!(parse("something else", "/bin/gateway"), None);
    }
}
