//! Settings that the code of a program gives, in place of flags, environment and file.

use super::{Loaded, Setting, SettingsError, merged::Merged, merged::Origin};

impl Loaded {
    /// Values that the code gives, and the defaults of all other settings.
    ///
    /// # Errors
    /// [`SettingsError::UnknownKey`], and [`SettingsError::BadValue`] for a value of the wrong kind or out of its
    /// range.
    pub fn in_code(
        lists: &[&'static [Setting]],
        given: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, SettingsError> {
        let settings = || lists.iter().copied().flatten();
        let mut merged = Merged::default();
        for Setting { key, default, .. } in settings() {
            if let Some(value) = default {
                merged.set(key, (*value).to_owned(), Origin::Default);
            }
        }
        for (key, value) in given {
            if settings().all(|setting| setting.key != key) {
                return Err(SettingsError::UnknownKey {
                    key: key.to_owned(),
                    origin: Origin::Code.to_string(),
                    hint: String::new(),
                });
            }
            merged.set(key, value, Origin::Code);
        }
        merged.check(settings())?;
        let warnings = Vec::new();
        Ok(Self { merged, warnings })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::settings::{ValueKind, common};

    const LISTS: [&[Setting]; 1] = [&common::rest_api("5001")];

    #[derive(Debug, Deserialize)]
    struct Sample {
        rest_api: crate::http_server::Address,
    }

    #[test]
    fn what_the_code_does_not_give_is_as_by_default() {
        let given = [("rest_api.port", "7".to_owned())];
        let loaded = Loaded::in_code(&LISTS, given).unwrap();
        let Sample { rest_api } = loaded.read().unwrap();
        assert_eq!((rest_api.host.as_str(), rest_api.port), ("127.0.0.1", 7));
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_key() {
        let refused = |key, value: &str| {
            let loaded = Loaded::in_code(&LISTS, [(key, value.to_owned())]);
            loaded.unwrap_err().to_string()
        };
        assert!(matches!(LISTS[0][1].kind, ValueKind::Number(_)));
        assert_eq!(
            refused("rest_api.port", "65536"),
            "bad value: rest_api.port = `65536` in the code: expected 0 to 65535"
        );
        assert_eq!(
            refused("rest_api.ports", "1"),
            "unknown key `rest_api.ports` in the code"
        );
    }
}
