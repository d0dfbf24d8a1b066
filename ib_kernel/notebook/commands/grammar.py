"""What every magic and subcommand accepts: one table for parsing, ``--help`` and completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ib_kernel.notebook.commands.args import Command, Option
from ib_kernel.notebook.commands.words import (
    parse_cells,
    parse_minutes,
    parse_names,
    parse_tokens,
    parse_turns,
    parse_usage,
)
from ib_kernel.settings.parsing import (
    parse_one_of,
    parse_persona,
    parse_temperature,
    parse_text,
    parse_usd,
)

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import Engine

START = Command(
    "%interview start",
    "Open a session and make it the one in use.",
    (
        Option("--candidate", "candidate", parse_text, "NAME", "who is interviewed", words=True),
        Option("--level", "level", parse_text, "LEVEL", "level to assess for, such as senior", words=True),
        Option(
            "--challenge",
            "challenge",
            parse_text,
            "NAME|FILE",
            "the task",
            completes="challenges",
            words=True,
        ),
        Option("--budget", "token_budget", parse_tokens, "N", "tokens, input and output together"),
        Option(
            "--charge",
            "charge",
            parse_one_of("billed", "new"),
            "HOW",
            "billed: all that the service bills; new: what each turn adds",
            completes="charges",
        ),
        Option("--budget-usd", "budget_usd", parse_usd, "USD", "US dollars, beside the tokens"),
        Option("--minutes", "minutes", parse_minutes, "N", "time limit"),
        Option("--model", "model", parse_text, "MODEL", "the model", completes="models"),
        Option("--client", "client", parse_text, "CLIENT", "the client plugin", completes="clients"),
        Option(
            "--api",
            "api",
            parse_one_of("chat", "responses"),
            "API",
            "OpenAI's API to speak",
            completes="apis",
        ),
        Option("--temperature", "temperature", parse_temperature, "T", "0 to 2"),
        Option(
            "--as",
            "persona",
            parse_persona,
            "ROLE|FILE",
            "what the AI is: interviewer, assistant, a plugin's persona or a .md file",
            completes="personas",
        ),
        Option(
            "--preset", "preset", parse_text, "NAME", "[presets.NAME] of config.toml", completes="presets"
        ),
        Option("--keep-days", "keep_days", parse_tokens, "N", "due to be erased after N days"),
        Option("--lock", "lock", help="ask for a passphrase that more tokens and more time then need"),
    ),
    positional="ROLE",
    many=True,
    example='%interview start "Backend engineer" --candidate Ada --challenge rate-limiter --budget 20000',
)

INVITE = Command(
    "%interview invite",
    "Invite a candidate to a host that you interview at; shows the line to send.",
    (
        *(o for o in START.options if o.name not in ("--lock", "--api", "--temperature", "--client")),
        Option(
            "--candidate-id", "candidate_id", parse_text, "ID", "what names the person where a name does not"
        ),
        Option(
            "--accommodation",
            "accommodation",
            parse_text,
            "time=1.25",
            "more time for this person; for coordinators",
        ),
        Option("--gateway", "gateway", help="the candidate's own tools may spend, too"),
        Option("--hours", "hours", parse_minutes, "N", "how long the line can be used; 48"),
        Option("--session", "session", parse_text, "ID", "readmit: whoever was in is out"),
        Option("--host", "host", parse_text, "URL", "the host; unset: IB_HOST"),
    ),
    positional="ROLE",
    many=True,
    example='%interview invite "Backend engineer" --candidate Ada --minutes 45 --host https://host.example',
)

_SESSION = Option(
    "--session", "session", parse_text, "ID", "a session; default: the one in use", completes="sessions"
)
_HOST = Option("--host", "host", parse_text, "URL", "at this host, under your own name there")
_RATER = Option("--rater", "rater", parse_text, "NAME", "who rates; default: you", words=True)
_BLIND = Option("--blind", "blind", help="replace names until you have rated every criterion")

SUBCOMMANDS: dict[str, Command] = {
    "start": START,
    "join": Command(
        "%interview join",
        "Join an interview at a host with the line you were sent; without it, go on where you were, or join "
        "the one that your JupyterHub user is invited to.",
        (Option("--test", "test", parse_text, "HOST", "try a host and use nothing up"),),
        positional="CODE@HOST",
        example="%interview join 7F3K-92QX-4MDP-W8ZT@https://host.example",
    ),
    "begin": Command("%interview begin", "Start the clock of a session that was only opened or joined."),
    "leave": Command(
        "%interview leave",
        "Go back to sessions of your own; the interview stays at its host.",
        (Option("--forget", "forget", help="forget the token: coming back needs a new line"),),
    ),
    "tools": Command(
        "%interview tools",
        "Let the openai package and other tools of this kernel spend from the interview's budget.",
        (Option("--show", "show", help="print the token, which the output then keeps"),),
    ),
    "invite": INVITE,
    "practice": Command(
        "%interview practice",
        "Start a session for yourself; %interview end then shows feedback in your own words.",
        (
            *(
                option
                for option in START.options
                if option.name
                in ("--level", "--budget", "--charge", "--minutes", "--model", "--client", "--as")
            ),
        ),
        positional="CHALLENGE",
        completes="challenges",
        example="%interview practice rate-limiter --minutes 30",
    ),
    "check": Command(
        "%interview check",
        "Run the challenge's tests beside what this notebook defines.",
        (
            Option("--cell", "cell", parse_tokens, "N", "check that cell as it was run, instead"),
            Option("--hidden", "hidden", help="the hidden checks, which a host runs a few times only"),
            Option("--practice", "practice", help="run them here, where they can be read"),
        ),
        example="%interview check",
    ),
    "hint": Command("%interview hint", "Show the challenge's next hint: no tokens, but recorded."),
    "record": Command(
        "%interview record",
        "Record the cells that are run, or stop it; without a word, say which.",
        positional="on|off",
        example="%interview record off",
    ),
    "challenges": Command(
        "%interview challenges",
        "List the challenges that can be posed.",
        (
            Option("--tag", "tag", parse_text, "TAG", "those about TAG, such as sql"),
            Option("--level", "level", parse_text, "LEVEL", "those for LEVEL, such as junior"),
        ),
    ),
    "score": Command(
        "%interview score",
        "Give a level, 0 to 3, for a criterion of the session's rubric; a later one counts instead.",
        (
            Option("--turn", "turns", parse_turns, "N", "the turns that show it", repeats=True),
            _RATER,
            _SESSION,
            _HOST,
        ),
        positional="CRITERION LEVEL WHY",
        many=True,
        completes="criteria",
        example='%interview score races 2 "names the lost update, and one lock" --turn 3',
    ),
    "note": Command(
        "%interview note",
        "Keep a private note about the session, with its moment.",
        (_RATER, _SESSION, _HOST),
        positional="TEXT",
        many=True,
        example='%interview note "asked about the limit before writing code"',
    ),
    "scorecard": Command(
        "%interview scorecard",
        "Show the criteria with your levels; those of others stand beside yours once you have rated.",
        (
            Option("--live", "live", help="a widget to rate in"),
            _BLIND,
            Option("--unfold", "unfold", help="see all levels, and give no first ones any more"),
            _RATER,
            _SESSION,
            _HOST,
        ),
        example="%interview scorecard --live",
    ),
    "rubric": Command(
        "%interview rubric",
        "Show the session's criteria with their anchors, or give it those of a .toml file.",
        (_SESSION, _HOST),
        positional="FILE",
        example="%interview rubric ours.toml",
    ),
    "compare": Command(
        "%interview compare",
        "Set the sessions on one challenge side by side, by equal conditions; without a name, list them.",
        (
            _BLIND,
            _RATER,
            Option("--unlock", "unlock", help="ask for the passphrase of locked sessions"),
            _HOST,
        ),
        positional="CHALLENGE",
        completes="compared",
        example="%interview compare rate-limiter --blind",
    ),
    "agreement": Command(
        "%interview agreement",
        "Show how far raters agree, with intervals: over all sessions, or those on one challenge.",
        positional="CHALLENGE",
        completes="compared",
        example="%interview agreement rate-limiter",
    ),
    "status": Command("%interview status", "Show the session in use."),
    "timeline": Command(
        "%interview timeline",
        "Show what happened in the session in one order: questions, cells, checks, hints, and the budget.",
        (
            Option(
                "--only",
                "only",
                parse_one_of("failed", "checks", "ai"),
                "WHAT",
                "failed: what went wrong; checks: with hints; ai: the conversation",
            ),
        ),
        example="%interview timeline --only failed",
    ),
    "transcript": Command(
        "%interview transcript",
        "Show the conversation, or write it to a .md, .html, .ipynb or .json file.",
        (Option("--overwrite", "overwrite", help="replace an existing file"),),
        positional="FILE",
        example="%interview transcript ada.md",
    ),
    "phase": Command(
        "%interview phase",
        "Enter a phase of the interview, which the model is told; without a word, say which there are.",
        positional="NAME|off",
        completes="phases",
        example="%interview phase design",
    ),
    "pause": Command("%interview pause", "Stop the clock and refuse turns until resume."),
    "resume": Command(
        "%interview resume",
        "Go on with a paused session, or give an expired one more time.",
        (Option("--minutes", "minutes", parse_minutes, "N", "minutes to add to the time limit"),),
        example="%interview resume --minutes 10",
    ),
    "extend": Command(
        "%interview extend",
        "Give the session in use more time or tokens, also while a reply runs elsewhere.",
        (
            Option("--minutes", "minutes", parse_minutes, "N", "minutes to add to the time limit"),
            Option("--tokens", "tokens", parse_tokens, "N", "tokens to add to the total"),
        ),
        example="%interview extend --minutes 10",
    ),
    "end": Command(
        "%interview end",
        "End the session in use, after a question. It cannot be resumed.",
        (Option("--yes", "yes", help="do not ask"),),
    ),
    "sessions": Command("%interview sessions", "List the sessions of this ledger."),
    "use": Command("%interview use", "Go on with an earlier session.", positional="ID", completes="sessions"),
    "judge": Command(
        "%interview judge",
        "Let a model propose levels for the session in use, with quotes that are looked up.",
        (
            Option(
                "--judge",
                "judge",
                parse_text,
                "NAME",
                "the judge; model, demo or a plugin's",
                completes="judges",
            ),
            Option("--client", "client", parse_text, "CLIENT", "the client plugin", completes="clients"),
            Option("--model", "model", parse_text, "MODEL", "the model", completes="models"),
            Option("--budget", "budget", parse_tokens, "N", "tokens of the judge's own session"),
            Option("--dry-run", "dry_run", help="ask nothing; show what it would take"),
            Option("--again", "again", help="judge anew what was judged"),
        ),
        example="%interview judge --dry-run",
    ),
    "report": Command(
        "%interview report",
        "Write what is known about the session in use to a .html, .md or .json file.",
        (
            Option(
                "--for",
                "for",
                parse_one_of("interviewer", "candidate"),
                "WHOM",
                "interviewer: everything; candidate: no levels, notes and names",
                completes="editions",
            ),
            Option("--judge", "judge", parse_text, "NAME", "ask this judge first", completes="judges"),
            Option("--no-model", "no_model", help="leave out what a judge proposes"),
            Option("--blind", "blind", help="hide the name until you have rated everything"),
            Option("--release", "release", help="let the candidate read this edition"),
            Option("--overwrite", "overwrite", help="replace an existing file"),
        ),
        positional="FILE",
        example="%interview report noor.html",
    ),
    "feedback": Command(
        "%interview feedback",
        "Say what the candidate's edition says about a criterion; else a judge's sentences stand there.",
        (
            Option("--strength", "strength", parse_text, "TEXT", "what went well", words=True),
            Option("--next", "next", parse_text, "TEXT", "what to try next time", words=True),
        ),
        positional="CRITERION",
        completes="criteria",
        example='%interview feedback atomic --strength "You saw the race." --next "Say what the lock costs."',
    ),
    "object": Command(
        "%interview object",
        "Object to a report, as its candidate: kept with the record, and in the report from then on.",
        positional="TEXT",
        many=True,
        example='%interview object "turn 4 was cut off by an outage"',
    ),
    "models": Command(
        "%interview models",
        "List the known models and their limits.",
        (Option("--all", "all", help="those that were shut down too"),),
    ),
    "key": Command(
        "%interview key",
        "Ask for the API key, without showing it, and keep it in this kernel's memory.",
        (
            Option("--keep", "keep", help="keep it in the operating system's keyring too"),
            Option("--new", "new", help="ask even when the keyring has one"),
            Option("--forget", "forget", help="forget it, in the keyring too"),
        ),
        positional="",
    ),
    "doctor": Command(
        "%interview doctor",
        "Show what was set, plugins, versions and the ledger's health.",
        (Option("--all", "all", help="settings at their defaults too"),),
    ),
    "help": Command("%interview help", "Show examples, and the challenges that ship."),
}

ASK = Command(
    "%%interview",
    "Send the cell's text and show the reply.",
    (
        Option("--reply", "max_tokens", parse_tokens, "TOKENS", "length of the reply at most", short="-n"),
        Option(
            "--model",
            "model",
            parse_text,
            "MODEL",
            "another model, this once",
            short="-m",
            completes="models",
        ),
        Option("--temperature", "temperature", parse_temperature, "T", "0 to 2, this once", short="-t"),
        Option("--dry-run", "dry_run", help="send nothing; show what it would take"),
        Option("--again", "again", help="send a cell that was answered once more"),
        Option("--error", "error", help="attach the last traceback"),
        Option("--cell", "cells", parse_cells, "N|-1|3,5", "attach the source of cells that ran"),
        Option("--out", "out", help="attach their output, or the last one"),
        Option("--var", "variables", parse_names, "NAME", "attach variables: NAME or NAME,NAME"),
        Option("--vars", "vars", help="replace {{name}} by the value of the variable called name"),
    ),
    example="%%interview -n 400",
)

BUDGET = Command(
    "%budget",
    "Show the gauge; with N, set the total first.",
    (
        Option("--usd", "usd", parse_usd, "USD", "set the budget in US dollars first"),
        Option("--live", "live", help="a gauge that follows the session, and a summary that stays"),
        Option("--controls", "controls", help="the same with the interviewer's controls"),
    ),
    positional="N",
    example="%budget 30000",
)
RESOLVE = Command(
    "%budget resolve",
    "Decide what a call in doubt has cost; who decided and when is recorded.",
    (
        Option("--settle", "settle", parse_usage, "IN+OUT", "it was billed: the tokens of prompt and reply"),
        Option("--write-off", "write_off", help="it was not billed: free its tokens"),
        Option("--reason", "reason", parse_text, "TEXT", "why, for the record", words=True),
    ),
    positional="ID",
    example='%budget resolve 3f2a --settle 812+240 --reason "from the usage dashboard"',
)
USAGE = Command("%usage", "Show what was used: session, all, accuracy.", positional="WHAT", completes="usage")
SQL = Command(
    "%%usage",
    "Answer the SQL in the cell: tables sessions, calls, messages, events.",
    (
        Option("--host", "host", parse_text, "URL", "ask this host, for interviewers"),
        Option("--unlock", "unlock", help="with levels and notes of locked sessions; asks for a passphrase"),
    ),
)


def subcommands(engine: Engine) -> Mapping[str, Command]:
    """Return what may follow ``%interview``; parsing, ``--help``, did-you-mean and Tab ask here."""
    from ib_kernel.notebook.commands.offered import grammar, offered

    return {**SUBCOMMANDS, **{name: grammar(command) for name, command in offered(engine).items()}}
