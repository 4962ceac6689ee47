//! The JSON shapes of the interface, each defined once: the service returns them, REST and the socket send them, the command line
//! reads them. No logic beyond units and the spelling of words.
//!
//! A fact that does not exist is `null`, never left out.

/// Gives an enum its words: `ALL` of it, `as_str` and `parse`. The words are those of serde, which a test compares.
macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in the order of their definition.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it, in JSON and in the database.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The value of a word; `None` for any other word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        #[cfg(test)]
        impl crate::tests::Words for $type {
            fn words() -> Vec<(Self, &'static str)> {
                vec![$((Self::$variant, $word)),+]
            }
        }
    };
}

pub mod access;
pub mod downloads;
pub mod jobs;
pub mod logs;
pub mod models;
pub mod presets;
pub mod prompts;
pub mod registry;
pub mod system;
pub mod units;

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    pub(crate) trait Words: Sized {
        fn words() -> Vec<(Self, &'static str)>;
    }

    fn assert_spelled_as_in_json<T: Words + Serialize>() {
        for (value, word) in T::words() {
            assert_eq!(serde_json::to_value(value).ok(), Some(word.into()), "{}", std::any::type_name::<T>());
        }
    }

    /// The words are those of rows that older versions wrote, too.
    #[test]
    fn words_are_spelled_as_in_json() {
        assert_spelled_as_in_json::<access::Role>();
        assert_spelled_as_in_json::<downloads::DownloadState>();
        assert_spelled_as_in_json::<downloads::FileState>();
        assert_spelled_as_in_json::<downloads::PauseReason>();
        assert_spelled_as_in_json::<downloads::Priority>();
        assert_spelled_as_in_json::<jobs::JobState>();
        assert_spelled_as_in_json::<logs::LogLevel>();
        assert_spelled_as_in_json::<logs::LogService>();
        assert_spelled_as_in_json::<models::IntegrityState>();
        assert_spelled_as_in_json::<models::Safety>();
        assert_spelled_as_in_json::<presets::PresetState>();
        assert_spelled_as_in_json::<prompts::PromptState>();
        assert_spelled_as_in_json::<registry::RegistryOrigin>();
        assert_spelled_as_in_json::<system::ServiceState>();
    }
}
