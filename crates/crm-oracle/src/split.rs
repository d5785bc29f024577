//! Which records of a message to send again, and together with which, when it was refused: a message is all or none
//! and its fault names no record (Oracle page 6.3). What was accepted is never sent again.
//!
//! Halves are tried until two records are found to be bad; after that the records of refused groups go one by one,
//! since there will be more. Of 20 records with b bad ones this takes at most 1 + 10·b messages, and at most 31.

/// Bad records that are looked for by halving.
const FOUND_BY_HALVING: usize = 2;

/// The groups still to be sent.
#[derive(Debug)]
pub(crate) struct Splitter<R> {
    /// The next one last.
    groups: Vec<Group<R>>,
    n_bad: usize,
}

#[derive(Debug)]
struct Group<R> {
    rows: Vec<R>,
    /// It is the rest of a refused group, and so many were bad when that was split: when there are still as many, the
    /// bad one is in here.
    n_bad_at_split: Option<usize>,
}

impl<R> Splitter<R> {
    /// Sends `rows` together first.
    pub(crate) fn new(rows: Vec<R>) -> Self {
        Self {
            groups: vec![Group {
                rows,
                n_bad_at_split: None,
            }],
            n_bad: 0,
        }
    }

    /// The next records to send together.
    pub(crate) fn next(&mut self) -> Option<Vec<R>> {
        loop {
            let group = self.groups.pop()?;
            let holds_the_bad_one = group.n_bad_at_split == Some(self.n_bad);
            match group.rows.len() {
                0 => {}
                // Its own fault is wanted, and it may be good all the same: beside others it may have been refused.
                1 => return Some(group.rows),
                _ if holds_the_bad_one => self.split(group.rows, None),
                _ => return Some(group.rows),
            }
        }
    }

    /// Records that were sent together were refused; `suspect` is the place of the one that the fault seems to name.
    /// A single one is given back: it is bad.
    pub(crate) fn refused(&mut self, mut rows: Vec<R>, suspect: Option<usize>) -> Option<R> {
        if rows.len() == 1 {
            self.n_bad += 1;
            return rows.pop();
        }
        self.split(rows, suspect);
        None
    }

    fn split(&mut self, mut rows: Vec<R>, suspect: Option<usize>) {
        let groups = match suspect.filter(|at| *at < rows.len()) {
            Some(at) => {
                let alone = rows.remove(at);
                vec![rows, vec![alone]]
            }
            None if self.n_bad >= FOUND_BY_HALVING => {
                rows.into_iter().map(|row| vec![row]).collect()
            }
            None => {
                let second = rows.split_off(rows.len() / 2);
                vec![rows, second]
            }
        };
        let n_groups = groups.len();
        for (at, rows) in groups.into_iter().enumerate().rev() {
            let is_last = at + 1 == n_groups;
            self.groups.push(Group {
                rows,
                n_bad_at_split: is_last.then_some(self.n_bad),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends records of which `is_bad` says which are refused; gives those accepted, those refused, and messages.
    fn deliver(
        n: usize,
        is_bad: impl Fn(usize) -> bool,
        names_it: bool,
    ) -> (Vec<usize>, Vec<usize>, usize) {
        let mut splitter = Splitter::new((0..n).collect());
        let (mut accepted, mut refused, mut messages) = (Vec::new(), Vec::new(), 0);
        while let Some(group) = splitter.next() {
            messages += 1;
            assert!(messages < 100);
            match group.iter().position(|row| is_bad(*row)) {
                None => accepted.extend(group),
                Some(at) => refused.extend(splitter.refused(group, names_it.then_some(at))),
            }
        }
        accepted.sort_unstable();
        refused.sort_unstable();
        (accepted, refused, messages)
    }

    fn check(n: usize, bad: u32, names_it: bool) -> usize {
        let is_bad = |row: usize| bad & (1 << row) != 0;
        let (accepted, refused, messages) = deliver(n, is_bad, names_it);
        let all = 0..n;
        assert_eq!(
            refused,
            all.clone().filter(|row| is_bad(*row)).collect::<Vec<_>>()
        );
        assert_eq!(
            accepted,
            all.filter(|row| !is_bad(*row)).collect::<Vec<_>>()
        );
        messages
    }

    #[test]
    fn every_record_is_told_within_the_bound() {
        for n in 1..=10 {
            for bad in 0..1_u32 << n {
                let most = (1 + 10 * bad.count_ones() as usize).min(n + 11);
                let messages = check(n, bad, false);
                assert!(messages <= most, "{n} {bad:b}: {messages}");
                check(n, bad, true);
            }
        }
        // Twenty records: a walk through many patterns.
        let mut state = 1_u32;
        for _ in 0..50_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let spread = state >> 12;
            for bad in [spread, spread & (spread >> 3), 1 << (spread % 20)] {
                let most = (1 + 10 * bad.count_ones() as usize).min(31);
                let messages = check(20, bad, false);
                assert!(messages <= most, "{bad:020b}: {messages}");
            }
        }
        assert_eq!(check(20, 0, false), 1);
    }

    #[test]
    fn a_fault_that_names_its_record_saves_messages() {
        assert_eq!(check(20, 1 << 13, true), 3);
        assert_eq!(check(20, 1 << 13 | 1 << 2, true), 5);
    }

    #[test]
    fn a_record_that_is_refused_beside_others_only_is_accepted_alone() {
        let mut splitter = Splitter::new(vec![1, 2]);
        let mut accepted = Vec::new();
        while let Some(group) = splitter.next() {
            match group.len() {
                1 => accepted.extend(group),
                _ => assert_eq!(splitter.refused(group, None), None),
            }
        }
        assert_eq!(accepted, [1, 2]);
    }
}
