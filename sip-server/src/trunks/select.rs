//! Which trunks take a number, and in which order — RFC 2782 (weights).
//!
//! In    what was dialled, the trunks, random numbers. Out trunks: those that are up and want no rest first, then those of the longest
//! prefix, then by priority, and among equals by weight.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Trunk;
use crate::numbers::Dialled;

/// The trunks that take what was dialled, the first to be tried first.
pub(crate) fn order(
    trunks: &[Arc<Trunk>],
    dialled: &Dialled,
    mut random: impl FnMut() -> u64,
) -> Vec<Arc<Trunk>> {
    let mut taken: Vec<_> = trunks
        .iter()
        .filter_map(|trunk| Some((trunk.takes(dialled)?, trunk)))
        .map(|(prefix, trunk)| {
            let config = trunk.config();
            // Sorting by -ln(u)/w draws by weight without replacement; nothing of weight 0 comes before something.
            let drawn = ((random() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
            let share = -drawn.ln() / f64::from(config.weight).max(1e-6);
            ((!trunk.is_ready(), Reverse(prefix), config.priority), share, trunk)
        })
        .collect();
    taken.sort_by(|(one, share, _), (other, others, _)| one.cmp(other).then(share.total_cmp(others)));
    taken.into_iter().map(|(_, _, trunk)| Arc::clone(trunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::TrunkConfig;
    use super::*;

    fn trunk(name: &str, prefix: &str, priority: u16, weight: u16) -> Arc<Trunk> {
        Arc::new(Trunk::bare(TrunkConfig {
            name: name.to_owned(),
            server: format!("sip:{name}.example"),
            prefixes: vec![prefix.to_owned()],
            emergency: prefix == "+",
            priority,
            weight,
            ..TrunkConfig::default()
        }))
    }

    fn names(trunks: &[Arc<Trunk>], dialled: &Dialled) -> Vec<String> {
        let mut seed = 1_u64;
        let random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed
        };
        order(trunks, dialled, random).iter().map(|trunk| trunk.name().to_owned()).collect()
    }

    #[test]
    fn those_that_are_up_come_first_then_the_longest_prefix_then_priority() {
        let trunks = [
            trunk("far", "+", 1, 1),
            trunk("near", "+33", 9, 1),
            trunk("best", "+33", 1, 1),
            trunk("no", "+49", 1, 1),
        ];
        let dialled = Dialled::Number("+33140000000".to_owned());
        assert_eq!(names(&trunks, &dialled), ["best", "near", "far"]);
        (0..2).for_each(|_| trunks[2].note_failed("no answer"));
        assert_eq!(names(&trunks, &dialled), ["near", "far", "best"]);
        assert_eq!(names(&trunks, &Dialled::Emergency("112".to_owned())), ["far"]);
        assert!(names(&trunks, &Dialled::Name).is_empty());
    }

    #[test]
    fn equals_share_by_weight() {
        let trunks = [trunk("one", "+", 1, 1), trunk("three", "+", 1, 3), trunk("none", "+", 1, 0)];
        let dialled = Dialled::Number("+33140000000".to_owned());
        let mut seed = 7_u64;
        let mut first = [0; 3];
        for _ in 0..4_000 {
            let random = || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed
            };
            let chosen = order(&trunks, &dialled, random);
            first[["one", "three", "none"].iter().position(|name| *name == chosen[0].name()).unwrap()] += 1;
        }
        assert!((900..1_100).contains(&first[0]) && first[2] == 0, "{first:?}");
    }
}
