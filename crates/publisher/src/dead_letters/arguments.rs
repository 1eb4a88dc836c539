//! What comes after `deadLetters` on the command line.

use clap::{Args, Subcommand, builder::PossibleValuesParser, value_parser};
use protocol::DeadLetterReason;
use redis_bus::dead_letters::Choice;
use strum::VariantArray;

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub task: Task,
}

/// What to do with the letters.
#[derive(Debug, Subcommand)]
#[command(rename_all = "camelCase")]
pub(crate) enum Task {
    /// One line for each letter, oldest first, and how many there are of each reason.
    List(ListArguments),
    /// All there is about one letter, or about all those of one message.
    Show(ShowArguments),
    /// Send messages on their way again, and remove their letters.
    ///
    /// A message that has an entry in the stream of processed messages, and what is no message, is left
    /// where it is.
    Replay(ReplayArguments),
    /// Remove letters for good.
    Purge(PurgeArguments),
}

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct ListArguments {
    /// Only letters with this reason.
    #[arg(long, value_parser = reasons())]
    pub reason: Option<String>,

    /// The most letters to list, 0 to 1000000000000; 0 is all. All are counted.
    #[arg(long, value_name = "LETTERS", default_value_t = 100, value_parser = value_parser!(u64).range(..=1_000_000_000_000))]
    pub limit: u64,
}

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct ShowArguments {
    /// The id of the letter's entry, or of its message.
    pub id: String,
}

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Say what would be done, and change nothing.
    #[arg(long, alias = "dry-run")]
    pub dry_run: bool,

    /// Messages a second, 0 to 10000000; 0 is as fast as Redis takes them.
    #[arg(long, value_name = "MESSAGES", default_value_t = 0, value_parser = value_parser!(u32).range(..=10_000_000))]
    pub rate: u32,
}

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct PurgeArguments {
    #[command(flatten)]
    pub chosen: Chosen,

    /// Say what would be removed, and change nothing.
    #[arg(long, alias = "dry-run")]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// Ids of entries or of messages.
    pub ids: Vec<String>,

    /// All letters with this reason.
    #[arg(long, value_parser = reasons())]
    pub reason: Option<String>,

    /// All letters.
    #[arg(long)]
    pub all: bool,
}

impl From<Chosen> for Choice {
    fn from(chosen: Chosen) -> Self {
        match chosen.reason {
            Some(reason) => Self::Reason(reason),
            None if chosen.all => Self::All,
            None => Self::Ids(chosen.ids),
        }
    }
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(
        DeadLetterReason::VARIANTS
            .iter()
            .map(|reason| reason.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn read(line: &str) -> clap::error::Result<Task> {
        parse(line).map(|arguments| arguments.task)
    }

    fn parse(line: &str) -> clap::error::Result<Arguments> {
        let words = ["program"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.arguments)
    }

    fn choice(line: &str) -> clap::error::Result<Choice> {
        match read(line)? {
            Task::Replay(replay) => Ok(replay.chosen.into()),
            Task::Purge(purge) => Ok(purge.chosen.into()),
            task @ (Task::List(_) | Task::Show(_)) => panic!("{task:?}"),
        }
    }

    #[test]
    fn letters_are_chosen_in_exactly_one_way() {
        let ids = ["a", "1-0"].map(str::to_owned).to_vec();
        assert_eq!(choice("replay a 1-0").unwrap(), Choice::Ids(ids));
        assert_eq!(choice("purge --all").unwrap(), Choice::All);
        let reason = Choice::Reason("rejected".to_owned());
        assert_eq!(choice("replay --reason rejected").unwrap(), reason);
        for line in [
            "",
            "a --all",
            "--all --reason rejected",
            "a --reason rejected",
        ] {
            assert!(choice(&format!("replay {line}")).is_err(), "{line}");
            assert!(choice(&format!("purge {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn a_reason_there_is_not_is_refused_with_those_there_are() {
        let error = read("list --reason rejectd").unwrap_err().to_string();
        assert!(error.contains("deliveries_exhausted"), "{error}");
    }

    #[test]
    fn the_dry_run_can_be_spelt_in_two_ways() {
        for line in ["replay --all --dryRun", "replay --all --dry-run"] {
            let arguments = parse(line).unwrap();
            let Task::Replay(replay) = arguments.task else {
                panic!("{line}");
            };
            assert!(replay.dry_run);
        }
    }
}
