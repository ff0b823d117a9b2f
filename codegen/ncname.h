/* ncname.h: what may be the local name of an element or attribute. */
#ifndef TERSE_CODEGEN_NCNAME_H
#define TERSE_CODEGEN_NCNAME_H

#include <stdbool.h>

/* Whether s (UTF-8) is an NCName of Namespaces in XML 1.0. */
bool is_ncname(const char *s);

#endif
