/* certs.h: certificates for tests, signed by themselves. */
#ifndef CERTS_H
#define CERTS_H

/* Writes certificate and key for these names ("a.example,b.example") to a new
 * file, whose path goes into path[64]. The caller unlinks it. */
void certs_write(char *path, const char *names);

#endif
