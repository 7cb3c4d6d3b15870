//! In which order SRV records are tried — RFC 2782: by priority, and by chance among equals, where weight is chance.

use super::Srv;

/// Records as they are tried. `srv` finds the record in what is sorted.
pub fn in_order<T>(mut records: Vec<T>, srv: impl Fn(&T) -> &Srv, mut random: impl FnMut() -> u64) -> Vec<T> {
    // Those of weight 0 come first among equals, so that they have a small chance of being chosen.
    records.sort_by_key(|record| (srv(record).priority, srv(record).weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| srv(record).priority) {
        let equals = records.partition_point(|record| srv(record).priority == priority);
        let sum: u64 = records[..equals].iter().map(|record| u64::from(srv(record).weight)).sum();
        let chosen = random() % (sum + 1);
        let mut running = 0;
        let at = records[..equals].iter().position(|record| {
            running += u64::from(srv(record).weight);
            running >= chosen
        });
        ordered.push(records.remove(at.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    fn ordered(records: Vec<Srv>, random: impl FnMut() -> u64) -> Vec<Srv> {
        in_order(records, |record| record, random)
    }

    fn names(records: Vec<Srv>) -> String {
        records.into_iter().map(|record| record.target).collect()
    }

    #[test]
    fn lower_priority_comes_first_whatever_the_weight() {
        let records = vec![record(20, 65_535, "c"), record(10, 0, "a"), record(15, 1, "b")];
        for chance in [0, 1, u64::MAX] {
            assert_eq!(names(ordered(records.clone(), || chance)), "abc");
        }
    }

    /// RFC 2782: the first whose running sum is not less than the number.
    #[test]
    fn weight_is_chance_among_equals() {
        let records = || vec![record(1, 60, "c"), record(1, 10, "a"), record(1, 30, "b"), record(1, 0, "o")];
        let first = |chance| ordered(records(), || chance).remove(0).target;
        assert_eq!((first(0).as_str(), first(1).as_str(), first(10).as_str()), ("o", "a", "a"));
        assert_eq!((first(11).as_str(), first(40).as_str(), first(41).as_str()), ("b", "b", "c"));
        assert_eq!(first(100), "c");
        let mut counts = std::collections::HashMap::new();
        let mut seed = 1u64;
        for _ in 0..10_000 {
            let ordered = ordered(records(), || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed >> 33
            });
            assert_eq!(ordered.len(), 4);
            *counts.entry(ordered[0].target.clone()).or_insert(0) += 1;
        }
        assert!((5_500..6_500).contains(&counts["c"]) && (2_600..3_400).contains(&counts["b"]), "{counts:?}");
    }
}
