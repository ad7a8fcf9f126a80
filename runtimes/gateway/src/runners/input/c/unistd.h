/* Has what is typed for `getpass` hidden: it needs a terminal for that, and reads the standard input where there is none. A
   process that has descriptor 61 open for its input wants that. Compilers find this header first, as the environment says.
   Programs may still define a function of that name. */
#include_next <unistd.h>

#if !defined SORNA_GETPASS && defined __GNUC__ && !defined __TINYC__ \
    && (defined __USE_MISC || (defined __USE_XOPEN && !defined __USE_XOPEN2K))
#define SORNA_GETPASS
#ifdef __cplusplus
extern "C" {
#endif
extern char *sorna_getpass(const char *) __asm__("getpass");
extern __inline __attribute__((__gnu_inline__, __always_inline__, __artificial__)) char *getpass(const char *__prompt)
{
    int __other = dup(61);
    char *__line;
    if (__other != -1) {
        close(__other);
        return sorna_getpass(__prompt);
    }
    dup2(0, 61);
    __line = sorna_getpass(__prompt);
    close(61);
    return __line;
}
#ifdef __cplusplus
}
#endif
#endif
