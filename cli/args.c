/*
 * args.c: command lines, stdin and stdout, and how errors are told.
 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int cli_complain(const struct cli_command *command, const char *fmt, ...) {
    va_list ap;
    fprintf(stderr, "terse %s: ", command->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return CLI_USAGE;
}

/* Row of the option that arg ("--name" or "--name=value") names, or -1. */
static int find_option(const struct cli_command *command, const char *arg) {
    size_t n = strcspn(arg, "=");
    for (int i = 0; command->options && command->options[i].name; i++) {
        const char *name = command->options[i].name;
        if (strlen(name) == n && memcmp(name, arg, n) == 0)
            return i;
    }
    return -1;
}

/* Parses the option at argv[*i]; moves *i over the value that it takes. */
static bool parse_option(const struct cli_command *command, int argc,
                         char **argv, int *i, struct cli_args *out) {
    const char *arg = argv[*i] + 2;
    int row = find_option(command, arg);
    if (row < 0) {
        cli_complain(command, "unknown option '%.60s'; see --help", argv[*i]);
        return false;
    }
    const struct cli_option *option = &command->options[row];
    const char *eq = strchr(arg, '=');
    if (!option->arg) {
        if (eq) {
            cli_complain(command, "--%s takes no value", option->name);
            return false;
        }
        out->values[row] = "";
    } else if (eq) {
        out->values[row] = eq + 1;
    } else if (*i + 1 < argc) {
        out->values[row] = argv[++*i];
    } else {
        cli_complain(command, "--%s needs a value: %s", option->name,
                     option->arg);
        return false;
    }
    return true;
}

bool cli_parse(const struct cli_command *command, int argc, char **argv,
               struct cli_args *out) {
    bool options_end = false;
    memset(out, 0, sizeof(*out));
    out->command = command;
    out->files = argv; /* files move to the front; never past what is read */
    for (int i = 0; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && strncmp(argv[i], "--", 2) == 0) {
            if (!parse_option(command, argc, argv, &i, out))
                return false;
        } else {
            argv[out->n_files++] = argv[i];
        }
    }
    if (command->takes_files && out->n_files == 0) {
        cli_complain(command, "no file is given; see --help");
        return false;
    }
    if (!command->takes_files && out->n_files != 0 && command != &cli_help) {
        cli_complain(command, "reads standard input, takes no file: '%.60s'",
                     out->files[0]);
        return false;
    }
    return true;
}

const char *cli_value(const struct cli_args *args, const char *name) {
    int row = find_option(args->command, name);
    return row < 0 ? NULL : args->values[row];
}

void cli_report(const struct cli_command *command, enum terse_err err,
                const struct terse_error *error) {
    const char *condition = terse_err_condition(err);
    fprintf(stderr, "terse %s: %s", command->name,
            error && error->text[0] ? error->text : condition);
    if (error && error->path[0])
        fprintf(stderr, " at %s", error->path);
    if (error)
        fprintf(stderr, ", offset %zu", error->offset);
    fprintf(stderr, " (%s)\n", condition);
}

int cli_read_stdin(const struct cli_command *command, struct terse_buf *buf) {
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
        enum terse_err err = terse_buf_append(buf, chunk, n);
        if (err == TERSE_ELIMIT) {
            cli_complain(command, "standard input is over %zu bytes", buf->max);
            return CLI_FAILED;
        }
        if (err != TERSE_OK)
            return cli_complain(command, "out of memory");
    }
    if (ferror(stdin))
        return cli_complain(command, "cannot read standard input: %s",
                            strerror(errno));
    return CLI_OK;
}

int cli_write_stdout(const struct cli_command *command, const void *p,
                     size_t n) {
    if ((n && fwrite(p, 1, n, stdout) != n) || fflush(stdout) != 0)
        return cli_complain(command, "cannot write standard output: %s",
                            strerror(errno));
    return CLI_OK;
}
