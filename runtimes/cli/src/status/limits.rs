//! What does not work with which gateway.

use sorna::protocol::{FollowLogs, ListFiles, VersionInfo};
use sorna::{ApiVersion, Dialect};

use crate::release::release;

/// A defect of managers, or something that they do not have, and the releases (year and month) from and up to which
/// they are known for it.
struct Limit {
    from: (u32, u32),
    to: (u32, u32),
    what: &'static str,
}

const NEWEST: (u32, u32) = (u32::MAX, 0);

/// Observed on managers 23.09.10 and 26.9.6; which releases are concerned was read in their sources.
const LIMITS: &[Limit] = &[
    Limit {
        from: (22, 9),
        to: (25, 8),
        what: "`sorna shell`: managers 22.09 to 25.8 lose what is typed into terminals, and close them",
    },
    Limit {
        from: (25, 9),
        to: NEWEST,
        what: "`sorna shell`: managers from 25.9 on show nothing in terminals (observed on 26.9.6)",
    },
    Limit {
        from: (26, 4),
        to: NEWEST,
        what: "`sorna restart`: managers from 26.4 on do not restart sessions",
    },
    Limit {
        from: (0, 0),
        to: NEWEST,
        what: "output as HTML: managers fail on it, and the program that prints it is stopped",
    },
    Limit {
        from: (0, 0),
        to: NEWEST,
        what: "ending the interpreter in a snippet, as os._exit() does: managers never report the end; stop it with Ctrl-C, and destroy the session if it was kept",
    },
    Limit {
        from: (0, 0),
        to: NEWEST,
        what: "`sorna complete`: managers have no candidates (observed on 23.09.10, after 30 s, and on 26.9.6)",
    },
];

/// The limits of a gateway that says this of itself.
pub(super) fn of(version: ApiVersion, info: &VersionInfo) -> Vec<String> {
    if version.dialect() == Dialect::SornaV2 {
        let has = |extension: &str| info.extensions().any(|name| name == extension);
        let commands = [
            Some("ps"),
            Some("logs").filter(|_| !has(FollowLogs::EXTENSION)),
            Some("ls, download").filter(|_| !has(ListFiles::FILES)),
            Some("rename and events"),
        ];
        let commands: Vec<_> = commands.into_iter().flatten().collect();
        return vec![format!(
            "{}; run with variables (-e), resources (-r), --enqueue and --max-wait: Sorna v2 has none of these",
            commands.join(", ")
        )];
    }
    let mut limits = vec!["run --exec-timeout: Backend.AI has no such limit".to_owned()];
    // The gateway of this project has none of the defects.
    if let Some(release) = release(info) {
        let has = |limit: &&Limit| (limit.from..=limit.to).contains(&release);
        limits.extend(LIMITS.iter().filter(has).map(|limit| limit.what.to_owned()));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_logs_are_no_limit_of_gateways_that_have_them() {
        for (extensions, has, has_logs) in [
            ("", false, false),
            (r#""echo""#, false, false),
            (r#""echo", "files""#, true, false),
            (r#""logs", "files""#, true, true),
        ] {
            let text = format!(r#"{{"version": "v2.20170315", "extensions": [{extensions}]}}"#);
            let info: VersionInfo = serde_json::from_str(&text).unwrap();
            let limits = of(ApiVersion::V2_20170315, &info).join("\n");
            assert_eq!(limits.contains("download"), !has, "{limits}");
            assert_eq!(limits.contains("logs"), !has_logs, "{limits}");
        }
    }

    #[test]
    fn limits_are_those_of_the_release() {
        let limits = |manager: &str| {
            let text = format!(r#"{{"version": "v9.20250722", "manager": "{manager}"}}"#);
            let info: VersionInfo = serde_json::from_str(&text).unwrap();
            of(ApiVersion::V9_20250722, &info).join("\n")
        };
        let of_2023 = limits("23.09.10");
        assert!(
            of_2023.contains("lose what is typed") && !of_2023.contains("restart"),
            "{of_2023}"
        );
        let of_2025 = limits("25.12.0");
        assert!(
            of_2025.contains("show nothing") && !of_2025.contains("restart"),
            "{of_2025}"
        );
        let of_2026 = limits("26.9.6");
        assert!(
            of_2026.contains("show nothing") && of_2026.contains("restart"),
            "{of_2026}"
        );
        assert!(!of_2026.contains("lose what is typed"), "{of_2026}");
        assert!(!limits("next").contains("shell"));
    }
}
