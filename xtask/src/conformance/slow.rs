//! Clients that take their time: slowhttptest holds hundreds of connections, and asks meanwhile whether others are served.

use super::ground::Ground;
use super::report::Check;
use super::tool::run;

pub(super) fn slowhttptest(ground: &Ground) -> Vec<Check> {
    let (page, large) =
        (format!("http://127.0.0.1:{}/", ground.plain), format!("http://127.0.0.1:{}/large", ground.plain));
    let mut checks = Vec::new();
    for (name, arguments) in [
        ("slow heads", &["-H", "-i", "10", "-u", &*page][..]),
        ("slow bodies", &["-B", "-i", "10", "-s", "8192", "-u", &page]),
        ("slow reads", &["-X", "-k", "3", "-n", "5", "-z", "32", "-w", "10", "-y", "20", "-u", &large]),
        ("overlapping ranges", &["-R", "-a", "5", "-b", "1500", "-u", &large]),
    ] {
        let always = ["-c", "500", "-r", "250", "-l", "20", "-p", "3"];
        let ran = run("slowhttptest", &[&always, arguments].concat(), "");
        let seen: Vec<&str> = ran.text.lines().filter(|line| line.contains("service available")).collect();
        let right = !seen.is_empty() && seen.iter().all(|line| line.contains("YES"));
        checks.push(Check::that(
            &format!("{name} on 500 connections: all others are served throughout"),
            right,
            &ran.text,
        ));
        if name == "slow heads" {
            checks.push(Check::that(
                "slow heads: the gateway ends all of those connections",
                !ran.has("Exit status: Hit test time limit"),
                &ran.text,
            ));
        }
    }
    checks
}
