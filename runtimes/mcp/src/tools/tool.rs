//! The tools, by their names.

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    RunCode,
    Start,
    Wait,
    Interrupt,
    WriteFile,
    ReadFile,
    ListFiles,
    ListLanguages,
    ListSessions,
    CloseSession,
}

impl Tool {
    /// All of them, those first that are used most.
    pub(crate) const ALL: [Self; 10] = [
        Self::RunCode,
        Self::Start,
        Self::Wait,
        Self::Interrupt,
        Self::WriteFile,
        Self::ReadFile,
        Self::ListFiles,
        Self::ListLanguages,
        Self::ListSessions,
        Self::CloseSession,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RunCode => "run_code",
            Self::Start => "start",
            Self::Wait => "wait",
            Self::Interrupt => "interrupt",
            Self::WriteFile => "write_file",
            Self::ReadFile => "read_file",
            Self::ListFiles => "list_files",
            Self::ListLanguages => "list_languages",
            Self::ListSessions => "list_sessions",
            Self::CloseSession => "close_session",
        }
    }

    /// The tool of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }
}
