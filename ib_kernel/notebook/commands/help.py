"""The text of `%interview help`."""

TEXT = """\
Begin
  %interview start "Backend engineer" --candidate Ada --level senior --challenge rate-limiter
  %interview start --budget 20000 --minutes 45 --model gpt-5.4-mini
  %interview start --as assistant          the AI helps the candidate instead of interviewing
  %interview start --lock                  more tokens or time then need a passphrase
  %interview practice rate-limiter         for yourself: %interview end shows feedback in your own words

An interview at a host (docs: a remote interview)
  %interview join CODE@https://host        the line that you were sent; alone it goes back; --test HOST tries
  %interview begin · tools · leave         start the clock; let your tools spend, too; go back to your own
  %interview invite "Backend engineer"     for interviewers: --host https://host, prints the line to send

Talk: a cell that begins with %%interview is sent, and the reply appears under it
  %%interview
  I'd start with a token bucket per user, kept in Redis.

  %%interview -n 400                       a reply of at most 400 tokens
  %%interview --vars                       {{{{name}}}} becomes the value of the variable called name

Watch the budget
  %budget                                  used, held, left, cost, turns left
  %budget 30000                            set the total; --usd 0.50 one in US dollars
  %budget --live                           follows the session; --controls adds buttons
  %budget resolve ID --write-off           decide about a call in doubt (or --settle IN+OUT)
  %usage · %usage all · %usage accuracy    this session; every session; our counts against the bills
  %%usage
  SELECT model, sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM calls GROUP BY model

Decide (docs: from the end of an interview to a decision)
  %interview rubric · scorecard            the criteria; your levels, and those of others once you have rated
  %interview score races 2 "one lock" --turn 3
  %interview compare rate-limiter --blind  candidates by equal conditions; agreement says how far raters agree

The session
  %interview status · pause · resume --minutes 10 · end
  %interview transcript ada.md             or .html, .ipynb, .json; without a file it is shown
  %interview sessions                      all of them; %interview use ID goes on with one
  %interview models                        known models, their limits, how each is counted
  %interview key                           ask for an API key: not shown, kept in memory only
  %interview doctor                        settings (--all: defaults too), plugins, and the ledger
  %config InterviewMagics                  every setting that a cell can change
  Any of these with --help says what it takes; Tab completes.

Challenges
{challenges}
  or a .md or .txt file of your own
"""
