/*
 * main.c: the program `terse`: finds the command, parses its options, runs it.
 */
#include "cli.h"

#include <string.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        help_print(stderr, NULL);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_print(stdout, NULL);
        return CLI_OK;
    }
    const struct cli_command *command = cli_find(argv[1]);
    if (!command) {
        fprintf(stderr, "terse: no command '%.60s'; see terse --help\n",
                argv[1]);
        return CLI_USAGE;
    }
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help_print(stdout, command);
            return CLI_OK;
        }
    }
    struct cli_args args;
    if (!cli_parse(command, argc - 2, argv + 2, &args))
        return CLI_USAGE;
    return command->run(&args);
}
