//! The help of one command, and the manual page of all.

use std::io::Write as _;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::settings::table::{COMMANDS, Group, Info};
use crate::{Failure, definition, output};

/// Prints what `--help` of a command says; without one, that of `aemp`.
pub(crate) fn help(name: Option<&str>) -> Result<(), Failure> {
    let command = definition::command();
    if let Some(name) = name.filter(|name| command.find_subcommand(name).is_none()) {
        return Err(definition::unknown(name).into());
    }
    let words = ["aemp"].into_iter().chain(name).chain(["--help"]);
    match command.try_get_matches_from(words) {
        Err(said) => Ok(output::print_clap(&said)?),
        Ok(_) => Ok(()),
    }
}

/// Prints the manual page.
pub(crate) fn print() -> Result<(), Failure> {
    Ok(output::print(&String::from_utf8(page()?)?)?)
}

fn page() -> std::io::Result<Vec<u8>> {
    let command = definition::command();
    let man = Man::new(command.clone()).manual("AnyEvent::MP");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    commands(command)?
        .iter()
        .try_for_each(|section| section.to_writer(&mut page))?;
    man.render_version_section(&mut page)?;
    page.flush()?;
    Ok(page)
}

/// The sections about the subcommands.
fn commands(mut command: clap::Command) -> std::io::Result<Vec<Roff>> {
    command.build();
    let mut sections = Vec::new();
    let mut own = Roff::new();
    own.control("SH", ["COMMANDS"]);
    for subcommand in command.get_subcommands() {
        if !subcommand.is_hide_set() {
            entry(&mut own, subcommand);
        }
    }
    sections.push(own);
    let mut configuration = Roff::new();
    configuration.control("SH", ["CONFIGURATION COMMANDS"]);
    for group in Group::ALL {
        configuration.control("SS", [group.heading()]);
        for info in COMMANDS
            .iter()
            .filter(|info| info.group == group && info.is_offered())
        {
            configuration_entry(&mut configuration, info);
        }
    }
    sections.push(configuration);
    let mut rest = Roff::new();
    rest.control("SH", ["ARGUMENTS, STATUS, FILES"]);
    paragraphs(&mut rest, definition::REST);
    sections.push(rest);
    Ok(sections)
}

fn entry(roff: &mut Roff, subcommand: &clap::Command) {
    let usage = subcommand.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    roff.control("TP", []);
    roff.text([bold(usage)]);
    let about = subcommand.get_long_about().or(subcommand.get_about());
    roff.text([roman(format!(
        "{}.",
        about.map(ToString::to_string).unwrap_or_default()
    ))]);
    for arg in subcommand
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !arg.is_global_set())
    {
        let help = arg
            .get_long_help()
            .or(arg.get_help())
            .map(ToString::to_string);
        let Some(help) = help.filter(|_| !matches!(arg.get_id().as_str(), "help" | "version"))
        else {
            continue;
        };
        roff.control("RS", []);
        roff.control("TP", []);
        roff.text([bold(arg.to_string())]);
        roff.text([roman(format!("{help}."))]);
        roff.control("RE", []);
    }
    if let Some(more) = subcommand.get_after_help() {
        roff.control("IP", []);
        paragraphs(roff, &more.to_string());
    }
}

fn configuration_entry(roff: &mut Roff, info: &Info) {
    roff.control("TP", []);
    roff.text([bold(&*info.name), roman(format!(" {}", info.usage))]);
    let about = definition::first_upper(&info.about);
    let offers = match info.offers {
        [] => String::new(),
        offers => format!(" ({})", offers.join(", ")),
    };
    roff.text([roman(format!("{about}{offers}. Example: {}", info.example))]);
}

/// Text of which each line is a paragraph, to be wrapped, or begins with blanks: then it begins a
/// line of the page by itself.
fn paragraphs(roff: &mut Roff, text: &str) {
    for line in text.lines() {
        match line {
            "" => roff.control("sp", []),
            line => roff.text([roman(line)]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command_and_every_setting() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        let page = page.replace("\\-", "-");
        for info in COMMANDS.iter().filter(|info| info.is_offered()) {
            assert!(page.contains(&info.name), "{}", info.name);
        }
        for name in [
            "aemp run",
            "aemp mon",
            "aemp completions",
            "--json",
            "Exit status",
            "141",
        ] {
            assert!(page.contains(name), "{name}: {page}");
        }
    }
}
