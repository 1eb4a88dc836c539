use std::io::Write;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct Sample {
    redis: Redis,
}

#[derive(Debug, Deserialize)]
struct Redis {
    host: String,
    port: u16,
    url: Option<String>,
}

const PROGRAM: Program = Program {
    name: "sample-app",
    about: "A sample.",
    build: Build::of_version("1"),
    environment: "SAMPLE_APP",
    default_file: "no/such/file.properties",
    settings: &[&[
        Setting {
            kind: ValueKind::Host,
            ..setting("redis.host", "redisServerHost", Some("127.0.0.1"))
        },
        Setting {
            kind: ValueKind::PORT,
            ..setting("redis.port", "redisServerPort", Some("6379"))
        },
        setting("redis.url", "redisUrl", None),
    ]],
    service: crate::program::SETTINGS,
};

const fn setting(key: &'static str, flag: &'static str, default: Option<&'static str>) -> Setting {
    Setting {
        key,
        flag,
        value_name: "VALUE",
        kind: ValueKind::Url(|_| Ok(())),
        default,
        help: "Sets it.",
        heading: "Redis",
    }
}

fn load(args: &[&str], environment: &[(&str, &str)]) -> Result<Redis, SettingsError> {
    let args = ["sample-app"].iter().chain(args).map(OsString::from);
    let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    let sample: Sample = PROGRAM.load(args, environment.iter().map(pair))?.read()?;
    Ok(sample.redis)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = file("[redis]\nhost = from-file\nPort = 1\nurl =\n");
    let from_file = load(&["--configFilePath", path(&file)], &[]).unwrap();
    assert_eq!((from_file.host.as_str(), from_file.port), ("from-file", 1));
    assert_eq!(from_file.url, None);

    let environment = [
        ("SAMPLE_APP__REDIS__HOST", "from-env"),
        ("SAMPLE_APP__REDIS__PORT", "2"),
    ];
    let from_env = load(&["--configFilePath", path(&file)], &environment).unwrap();
    assert_eq!((from_env.host.as_str(), from_env.port), ("from-env", 2));

    let flags = [
        "--configFilePath",
        path(&file),
        "--redisServerHost",
        "from-flag",
    ];
    let from_flag = load(&flags, &environment).unwrap();
    assert_eq!((from_flag.host.as_str(), from_flag.port), ("from-flag", 2));

    let default = load(&[], &[]).unwrap();
    assert_eq!((default.host.as_str(), default.port), ("127.0.0.1", 6379));
}

#[test]
fn an_absent_default_file_is_a_warning_and_an_absent_named_file_an_error() {
    let loaded = PROGRAM.load(["sample-app".into()], []).unwrap();
    assert!(loaded.warnings()[0].contains("no/such/file.properties"));
    let error = load(&["--configFilePath", "no/such/other"], &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no/such/other") && error.contains("--configFilePath"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_is_named_with_its_source() {
    let file = file("[redis]\nhots = x\n");
    let error = load(&["--configFilePath", path(&file)], &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`redis.hots`") && error.contains(path(&file)),
        "{error}"
    );
    let error = load(&[], &[("SAMPLE_APP__HOST", "x")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`host`") && error.contains("SAMPLE_APP__HOST"),
        "{error}"
    );
    assert!(error.contains("did you mean `redis.host`?"), "{error}");
}

#[test]
fn a_bad_value_is_named_with_its_key_and_source() {
    let file = file("[redis]\nport = many\n");
    let error = load(&["--configFilePath", path(&file)], &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("redis.port") && error.contains(path(&file)),
        "{error}"
    );
    let error = load(&["--redisServerPort", "70000"], &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("redis.port") && error.contains("--redisServerPort"),
        "{error}"
    );
    let error = load(&[], &[("SAMPLE_APP__REDIS__PORT", "-1")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("redis.port") && error.contains("SAMPLE_APP__REDIS__PORT"),
        "{error}"
    );
}

#[test]
fn the_effective_settings_are_told_with_their_sources() {
    let file = file("[redis]\nport = 1\n");
    let args = ["sample-app", "--configFilePath", path(&file)];
    let flag = ["--redisServerHost", "from-flag"];
    let args = args.into_iter().chain(flag).map(OsString::from);
    let environment = ("SAMPLE_APP__REDIS__URL", "redis://me:s3cret@h");
    let environment = (environment.0.into(), environment.1.into());
    let loaded = PROGRAM.load(args, [environment]).unwrap();
    let text = PROGRAM.effective(&loaded);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let from_file = format!("redis.port 1 file {} (default 6379)", path(&file));
    assert_eq!(
        lines[..3],
        [
            "key value source",
            "redis.host from-flag flag --redisServerHost (default 127.0.0.1)",
            &from_file
        ]
    );
    assert_eq!(
        lines[3],
        "redis.url redis://me:***@h environment variable SAMPLE_APP__REDIS__URL"
    );
    assert!(
        lines[4..].contains(&"log.level info default".to_owned()),
        "{text}"
    );
    assert_eq!(lines.len(), PROGRAM.settings().count() + 1);
}

#[test]
fn help_names_default_and_environment_of_every_setting() {
    let help = PROGRAM.command().render_long_help().to_string();
    for setting in PROGRAM.settings() {
        assert!(help.contains(&format!("--{} ", setting.flag)), "{help}");
        assert!(help.contains(&PROGRAM.env_name(setting)), "{help}");
    }
}
