/*
 * help.c: what the commands say about themselves: --help, `terse help`, the
 * manual page and docs/cli.md, all from the same rows.
 */
#include "cli.h"

#include <string.h>

enum { WIDTH = 78 };

static const char about[] =
    "terse translates XMPP between XML and compact Protobuf frames, shows what "
    "is in a frame, checks that nothing is lost and counts the bytes. Frames "
    "are messages of type terse.Frame; any Protobuf library reads them with "
    "the published schema, terse.proto.";

/* ---- plain text -----------------------------------------------------------
 */

/* Prints text wrapped at WIDTH with each line indented. Lines that start with
 * a space are kept, a line feed ends a line, an empty line a paragraph. */
static void wrap(FILE *out, const char *text, size_t indent) {
    while (*text) {
        size_t n = strcspn(text, "\n"), room = WIDTH - indent, end = n;
        if (n > room && *text != ' ') {
            end = room;
            while (end > 0 && text[end] != ' ')
                end--;
            if (end == 0)
                end = strcspn(text, " \n"); /* one long word */
        }
        fprintf(out, "%*s%.*s\n", n ? (int)indent : 0, "", (int)end, text);
        text += end;
        if (*text)
            text++; /* the space or line feed it was cut at */
    }
}

static void print_options(FILE *out, const struct cli_command *command) {
    fputs("\nOptions:\n", out);
    for (const struct cli_option *o = command->options; o && o->name; o++) {
        fprintf(out, "    --%s%s%s\n", o->name, o->arg ? " " : "",
                o->arg ? o->arg : "");
        wrap(out, o->help, 8);
    }
    fputs("    --help\n        Print this text.\n", out);
}

static void print_program(FILE *out) {
    fputs("Usage: terse COMMAND [OPTION...] [FILE...]\n\n", out);
    wrap(out, about, 0);
    fputs("\nCommands:\n", out);
    for (size_t i = 0; cli_commands[i]; i++)
        fprintf(out, "    %-10s %s\n", cli_commands[i]->name,
                cli_commands[i]->summary);
    fputs(
        "\n`terse COMMAND --help` tells more. Exit codes: 0 done, 1 the input "
        "is wrong\nor was not lossless, 2 wrong arguments or an I/O error.\n",
        out);
}

void help_print(FILE *out, const struct cli_command *command) {
    if (!command) {
        print_program(out);
        return;
    }
    fprintf(out, "terse %s - %s\n\nUsage: terse %s %s\n\n", command->name,
            command->summary, command->name, command->synopsis);
    wrap(out, command->description, 0);
    print_options(out, command);
    fputs("\nExit codes:\n", out);
    wrap(out, command->exits, 4);
    fputs("\nExamples:\n", out);
    wrap(out, command->examples, 4);
}

/* ---- manual page ------------------------------------------------------------
 */

/* Prints text in roff: each line that starts with a space as it is, empty
 * lines as paragraphs. */
static void man_text(FILE *out, const char *text) {
    bool kept = false;
    while (*text) {
        size_t n = strcspn(text, "\n");
        bool keep = *text == ' ';
        if (keep != kept)
            fputs(keep ? ".nf\n" : ".fi\n", out);
        kept = keep;
        if (n == 0)
            fputs(".PP", out);
        else if (*text == '.' || *text == '\'')
            fputs("\\&", out);
        for (size_t i = 0; i < n; i++) {
            if (text[i] == '\\')
                fputs("\\e", out);
            else if (text[i] == '-')
                fputs("\\-", out);
            else
                fputc(text[i], out);
        }
        fputc('\n', out);
        text += n;
        text += *text == '\n';
    }
    if (kept)
        fputs(".fi\n", out);
}

static void man_lines(FILE *out, const char *text) {
    fputs(".nf\n", out);
    man_text(out, text);
    fputs(".fi\n", out);
}

static void man_command(FILE *out, const struct cli_command *command) {
    fprintf(out, ".SS \"terse %s\"\n", command->name);
    man_lines(out, command->synopsis);
    fputs(".PP\n", out);
    man_text(out, command->description);
    for (const struct cli_option *o = command->options; o && o->name; o++) {
        fprintf(out, ".TP\n.B \\-\\-%s%s%s\n", o->name, o->arg ? " " : "",
                o->arg ? o->arg : "");
        man_text(out, o->help);
    }
    fputs(".PP\nExit codes:\n.PP\n", out);
    man_lines(out, command->exits);
    fputs(".PP\nExamples:\n.PP\n", out);
    man_lines(out, command->examples);
}

void help_man(FILE *out) {
    fputs(".TH TERSE 1 \"\" \"Terse\" \"User Commands\"\n"
          ".SH NAME\nterse \\- XMPP as compact Protobuf frames, and back\n"
          ".SH SYNOPSIS\n.B terse\n.I COMMAND\n[\\fIOPTION\\fR...] "
          "[\\fIFILE\\fR...]\n.SH DESCRIPTION\n",
          out);
    man_text(out, about);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; cli_commands[i]; i++)
        man_command(out, cli_commands[i]);
}

/* ---- Markdown
 * ---------------------------------------------------------------- */

static void markdown_block(FILE *out, const struct cli_command *command) {
    fputs("```\n", out);
    help_print(out, command);
    fputs("```\n", out);
}

void help_markdown(FILE *out) {
    fputs("# The program `terse`\n\nWritten by `terse help --markdown`; a test "
          "keeps it so.\n\n",
          out);
    markdown_block(out, NULL);
    for (size_t i = 0; cli_commands[i]; i++) {
        fprintf(out, "\n## terse %s\n\n", cli_commands[i]->name);
        markdown_block(out, cli_commands[i]);
    }
}

/* ---- terse help
 * ---------------------------------------------------------------- */

static int run(const struct cli_args *args) {
    const struct cli_command *command = NULL;
    if (args->n_files > 1)
        return cli_complain(args->command, "one command at a time");
    if (args->n_files == 1 && !(command = cli_find(args->files[0])))
        return cli_complain(args->command, "no command '%.60s'",
                            args->files[0]);
    if (cli_value(args, "man"))
        help_man(stdout);
    else if (cli_value(args, "markdown"))
        help_markdown(stdout);
    else
        help_print(stdout, command);
    return cli_write_stdout(args->command, "", 0);
}

static const struct cli_option options[] = {
    {"man", NULL, "Print the manual page terse.1 of all commands."},
    {"markdown", NULL, "Print docs/cli.md, the same for all commands."},
    {NULL, NULL, NULL},
};

const struct cli_command cli_help = {
    .name = "help",
    .synopsis = "[--man | --markdown] [COMMAND]",
    .summary = "print what terse or a command does",
    .description = "Prints what `terse COMMAND --help` prints, or all of it in "
                   "another form.",
    .options = options,
    .exits = "0  printed\n"
             "2  no such command, or an I/O error",
    .examples = "terse help roundtrip\n"
                "terse help --man >terse.1",
    .run = run,
};
