/*
 * cli.h: what the commands of `terse` share: how one is described, so that the
 * option parser, --help, the manual page and docs/cli.md come from one text.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "codec/terse.h"

#include <stdio.h>

/* Exit codes of every command. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the input was read, and is wrong or was not lossless */
    CLI_USAGE = 2,  /* wrong arguments, or a file that cannot be read */
};

/* Bytes of standard input that a command is willing to hold. The codec's own
 * limits are lower; this only bounds memory before they apply. */
#define CLI_INPUT_MAX (16u * 1024 * 1024)

enum { CLI_OPTIONS_MAX = 8 };

struct cli_option {
    const char *name; /* without the dashes; NULL ends the list */
    const char *arg;  /* what follows it, for the help; NULL if nothing does */
    const char *help;
};

struct cli_command;

/* The command line of one command, parsed. Strings belong to main's argv. */
struct cli_args {
    const struct cli_command *command;
    const char *values[CLI_OPTIONS_MAX]; /* by row in `options`; NULL = unset,
                                            "" = set and takes no argument */
    char **files;                        /* what is not an option */
    int n_files;
};

struct cli_command {
    const char *name;
    const char *synopsis;    /* after the name: "[--json] FILE..." */
    const char *summary;     /* one line, no full stop */
    const char *description; /* paragraphs, separated by an empty line; lines
                                that start with a space are kept as they are */
    const struct cli_option *options;
    const char *exits;    /* lines "code  meaning" */
    const char *examples; /* shell lines */
    bool takes_files;     /* one at least; otherwise none is allowed */
    int (*run)(const struct cli_args *args);
};

extern const struct cli_command cli_encode, cli_decode, cli_inspect,
    cli_roundtrip, cli_measure, cli_help;

/* All commands, ended by NULL. */
extern const struct cli_command *const cli_commands[];

/* The command `name`, or NULL. */
const struct cli_command *cli_find(const char *name);

/* Sorts argv (after the command's name) into *out. Returns false after it has
 * said on stderr what is wrong. */
bool cli_parse(const struct cli_command *command, int argc, char **argv,
               struct cli_args *out);
/* Value of option `name`: NULL if it was not given. */
const char *cli_value(const struct cli_args *args, const char *name);

/* Says "terse COMMAND: ..." on stderr; returns CLI_USAGE. */
int cli_complain(const struct cli_command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says on stderr what the codec found wrong, with path and offset. */
void cli_report(const struct cli_command *command, enum terse_err err,
                const struct terse_error *error);

/* Reads all of stdin into buf, which the caller has given a cap. CLI_OK, or an
 * exit code after saying why on stderr. */
int cli_read_stdin(const struct cli_command *command, struct terse_buf *buf);

/* Writes n bytes to stdout and flushes; an exit code. */
int cli_write_stdout(const struct cli_command *command, const void *p,
                     size_t n);

/* help.c: the same texts in three forms. command NULL: the program's own. */
void help_print(FILE *out, const struct cli_command *command);
void help_man(FILE *out);
void help_markdown(FILE *out);

#endif
