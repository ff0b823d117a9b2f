/*
 * commands.c: the table of commands. A new one is a row here, a declaration in
 * cli.h and a file of its own.
 */
#include "cli.h"

#include <string.h>

const struct cli_command *const cli_commands[] = {
    &cli_encode,  &cli_decode, &cli_inspect, &cli_roundtrip,
    &cli_measure, &cli_help,   NULL,
};

const struct cli_command *cli_find(const char *name) {
    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    return NULL;
}
