//! How far somebody's credentials reach. Which operation needs which role is the API's to say.

/// How far credentials reach. A higher role includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// To look.
    Read,
    /// To install, pause, resume, cancel, sync, execute, and to keep workflows.
    Operate,
    /// To delete what was installed, and to say who may do what.
    Admin,
}

impl Role {
    /// Every role, the least one first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Admin];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// The role of a word; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}
