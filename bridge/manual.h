/*
 * manual.h: the manual page of a program, made from what its --help says, so
 * that there is one text to keep right.
 */
#ifndef BRIDGE_MANUAL_H
#define BRIDGE_MANUAL_H

#include <stdio.h>

/* Writes `help` as a page for man(1). The text has headings at the margin and
 * everything else indented by two; a line that is followed by one indented by
 * six is a term, and what is indented explains it; lines with two spaces
 * within are a table and stay as they are. */
void manual_print(FILE *out, const char *name, int section, const char *version,
                  const char *help);

#endif
