//! How many files and sockets the process may have open: systemd, containers and shells give few, and let who needs more take more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as the process may have; how many that are, `None` where there is no end of them.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_may_be_is_taken() {
        // Fewer than tests beside this one open would be no test of theirs.
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let few = maximum.map_or(Some(65_536), |most| Some(most - 1));
        setrlimit(Resource::Nofile, Rlimit { current: few, maximum }).unwrap();
        assert_eq!(raise(), maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
