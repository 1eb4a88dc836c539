//! The command line of a program: a flag for each setting, and those every program has.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Program, Setting};
use crate::documents;

/// The flag that names another settings file.
pub(super) const FILE_FLAG: &str = "configFilePath";

/// The flag that has the settings told instead of used.
const CHECK_FLAG: &str = "checkConfig";

/// The flag that asks the service which runs with these settings.
const HEALTH_FLAG: &str = "checkHealth";

/// The heading of flags that are no settings.
const GENERAL: &str = "General";

impl Program {
    /// The command line as `clap` knows it.
    #[must_use]
    pub fn command(&self) -> Command {
        let file_help = format!("Settings file (INI) [default: {}]", self.default_file);
        let file = Arg::new(FILE_FLAG)
            .long(FILE_FLAG)
            .value_name("PATH")
            .help(file_help)
            .help_heading(GENERAL);
        let check = Arg::new(CHECK_FLAG)
            .long(CHECK_FLAG)
            .action(ArgAction::SetTrue)
            .help("Check the settings, print each with its source, and end")
            .help_heading(GENERAL);
        // A tool has no health.
        let health = (!self.service.is_empty()).then(|| {
            Arg::new(HEALTH_FLAG)
                .long(HEALTH_FLAG)
                .action(ArgAction::SetTrue)
                .help(
                    "Ask the service that runs with these settings for GET /health, and end: with 0 \
                     where it answers 200, else with 1",
                )
                .help_heading(GENERAL)
        });
        let args = self.settings().map(|setting| self.arg(setting));
        let documents = documents::args().map(|arg| arg.help_heading(GENERAL));
        Command::new(self.name)
            .about(self.about)
            .version(self.build.to_string())
            .after_help("Precedence: flag, environment, settings file, default.")
            .arg(file)
            .arg(check)
            .args(health)
            .args(documents)
            .args(args)
    }

    fn arg(&self, setting: &Setting) -> Arg {
        let range = setting.kind.range();
        let range = range.map(|range| format!(" [{range}]")).unwrap_or_default();
        let default = setting
            .default
            .map(|value| format!(" [default: {value}]"))
            .unwrap_or_default();
        let help = format!(
            "{}{range}{default} [env: {}]",
            setting.help,
            self.env_name(setting)
        );
        Arg::new(setting.key)
            .long(setting.flag)
            .value_name(setting.value_name)
            // For a bad value to be told as one, not as an unknown flag.
            .allow_negative_numbers(true)
            .help(help)
            .help_heading(setting.heading)
    }

    /// The name of the environment variable of a setting.
    pub(super) fn env_name(&self, setting: &Setting) -> String {
        format!(
            "{}{}",
            self.env_prefix(),
            setting.key.replace('.', "__").to_uppercase()
        )
    }

    pub(super) fn env_prefix(&self) -> String {
        format!("{}__", self.environment)
    }
}

/// Whether the settings are to be told instead of used.
pub(crate) fn asks_for_check(matches: &ArgMatches) -> bool {
    matches.get_flag(CHECK_FLAG)
}

/// Whether the service that runs is to be asked, in place of running one.
pub(crate) fn asks_for_health(matches: &ArgMatches) -> bool {
    matches.get_flag(HEALTH_FLAG)
}
