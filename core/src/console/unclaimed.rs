//! Unclaimed records: output of earlier executions that no client has received.

use serde_json::Value;

use super::parts::PartKind;
use super::{Console, Record};

/// The name of the record on the wire.
pub(super) const NAME: &str = "unclaimed";

impl Console {
    /// The kind of a record among [unclaimed](Self::unclaimed) ones that tells how the program before it has ended: `["ended",
    /// 5]` for exit code 5. It is a [`Record::Unknown`] for what does not ask for it by [`ends`](Self::ends).
    pub const ENDED: &str = "ended";

    /// The exit codes of the programs that have left this output, and of which no client has received the end, in order: for
    /// the [unclaimed](Self::unclaimed) part of a console. The gateway in `sorna-gateway` tells them of executions that were
    /// started [without a client](crate::RunMark::with_detached).
    #[must_use]
    pub fn ends(&self) -> Vec<i64> {
        let code = |record| match record {
            Record::Unknown { kind, values } if kind == Self::ENDED => values.first()?.as_i64(),
            _ => None,
        };
        self.iter().filter_map(code).collect()
    }

    /// Adds that the program has ended whose output comes before, with this exit code.
    pub fn push_end(&mut self, exit_code: i64) {
        self.push(&Record::Unknown {
            kind: Self::ENDED.into(),
            values: vec![exit_code.into()],
        });
    }

    /// What earlier executions of the kernel have left and no client has received, if a gateway has sent it: see
    /// [`RunMark::with_unclaimed`](crate::RunMark::with_unclaimed). Nothing else of a console contains it.
    #[must_use]
    pub fn unclaimed(&self) -> Option<Self> {
        let (found, _) = self.clone().split_unclaimed();
        (!found.is_empty()).then_some(found)
    }

    /// The same, and the rest.
    #[must_use]
    pub fn split_unclaimed(self) -> (Self, Self) {
        if !self.has_unclaimed() {
            return (Self::new(), self);
        }
        let (mut unclaimed, mut own) = (Self::new(), Self::new());
        for record in self.iter_exact() {
            match record {
                Record::Unclaimed(console) => unclaimed.append(console),
                record => own.push(&record),
            }
        }
        (unclaimed, own)
    }

    pub(super) fn has_unclaimed(&self) -> bool {
        self.pieces().any(|(kind, _)| kind == PartKind::Unclaimed)
    }

    /// Adds the records of another console as unclaimed ones. Those that are unclaimed already are among them.
    pub(super) fn push_unclaimed(&mut self, console: &Self) {
        let json = if console.has_unclaimed() {
            let (mut all, own) = console.clone().split_unclaimed();
            all.append(own);
            serde_json::to_string(&all)
        } else {
            serde_json::to_string(console)
        };
        self.part(
            PartKind::Unclaimed,
            &json.expect("records are text and JSON"),
        );
    }

    /// The console that was added.
    pub(super) fn of_unclaimed(json: &str) -> Self {
        serde_json::from_str(json).expect("it was written as JSON here")
    }
}

/// The records that follow the name; `None` if it is something else. None of them may be of this kind itself.
pub(super) fn read(values: &[Value]) -> Option<Console> {
    let [Value::Array(records)] = values else {
        return None;
    };
    let is_nested = |record: &Value| record[0] == NAME;
    if records.iter().any(is_nested) {
        return None;
    }
    serde::Deserialize::deserialize(&values[0]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(json: &str) -> Console {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn unclaimed_output_is_apart_from_the_programs_own() {
        let json = r#"[["unclaimed",[["stdout","old\n"],["stderr-bytes","/2I="],["media",["a","b"]]]],["stdout","new"]]"#;
        let mut all = console(json);
        assert_eq!(serde_json::to_string(&all).unwrap(), json);
        assert_eq!((&*all.stdout(), &*all.stderr()), ("new", ""));
        let old = all.unclaimed().unwrap();
        assert_eq!(
            (&*old.stdout(), &*old.stderr_bytes()),
            ("old\n", &b"\xffb"[..])
        );
        assert_eq!(old.iter().count(), 3);
        assert_eq!(all.iter().count(), 2);
        assert!(all.has_bytes());
        assert_eq!(all.output_len(), 4 + 2 + 2 + 3);
        all.replace_bytes();
        assert!(!all.has_bytes());
        assert_eq!(all.unclaimed().unwrap().stderr(), "\u{fffd}b");
        let (old, own) = all.split_unclaimed();
        assert_eq!((old.iter().count(), &*own.stdout()), (3, "new"));
        assert_eq!(own.unclaimed(), None);
    }

    #[test]
    fn the_ends_of_programs_are_among_it() {
        let mut old = Console::new();
        assert_eq!(old.ends(), [0; 0]);
        old.push_stdout("a");
        old.push_end(5);
        old.push_end(-1);
        let mut all = Console::new();
        all.push(&Record::Unclaimed(old));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(
            json,
            r#"[["unclaimed",[["stdout","a"],["ended",5],["ended",-1]]]]"#
        );
        assert_eq!(console(&json).unclaimed().unwrap().ends(), [5, -1]);
    }

    #[test]
    fn it_is_not_nested() {
        let mut inner = console(r#"[["stdout","a"],["unclaimed",[["stdout","b"]]]]"#);
        inner.push(&Record::Unclaimed(inner.clone()));
        let text = serde_json::to_string(&inner).unwrap();
        assert_eq!(
            text,
            r#"[["stdout","a"],["unclaimed",[["stdout","b"]]],["unclaimed",[["stdout","b"],["stdout","a"]]]]"#
        );
        for json in [
            r#"[["unclaimed"]]"#,
            r#"[["unclaimed","a"]]"#,
            r#"[["unclaimed",[["stdout","a"]],1]]"#,
            r#"[["unclaimed",[["unclaimed",[["stdout","a"]]]]]]"#,
        ] {
            let read = console(json);
            let record = read.iter().next().unwrap();
            assert!(matches!(record, Record::Unknown { .. }), "{record:?}");
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }
}
