//! What a hundred students might hand in.

/// A program of one file.
pub(crate) struct Submission {
    /// The student's name, which hints at what the program does.
    pub(crate) student: String,
    pub(crate) language: &'static str,
    /// The file's name, which is what the kernel runs by default.
    pub(crate) file: &'static str,
    pub(crate) code: &'static str,
}

/// How many of each, the name, the language and the program.
const KINDS: &[(usize, &str, &str, &str)] = &[
    (
        14,
        "right",
        "python3",
        "print(int(input()) + int(input()))\n",
    ),
    (
        10,
        "right",
        "python3",
        "import sys\nprint(sum(int(sys.stdin.readline()) for _ in range(2)))\n",
    ),
    (
        14,
        "right",
        "c",
        r#"#include <stdio.h>
int main(void) { int a, b; scanf("%d %d", &a, &b); printf("%d\n", a + b); return 0; }
"#,
    ),
    (8, "right", "bash", "read a; read b; echo $((a + b))\n"),
    (
        8,
        "minus",
        "python3",
        "print(int(input()) - int(input()))\n",
    ),
    // Right in the first case only.
    (
        6,
        "abs",
        "python3",
        "print(abs(int(input())) + abs(int(input())))\n",
    ),
    (4, "silent", "bash", "read a; read b\n"),
    (
        5,
        "typo",
        "python3",
        "print(int(input()) + int(inputt()))\n",
    ),
    (3, "exit", "bash", "exit 3\n"),
    (
        4,
        "null",
        "c",
        "int main(void) { *(volatile int *)0 = 1; return 0; }\n",
    ),
    (8, "syntax", "c", "int main(void) { return 0 }\n"),
    (2, "loop", "python3", "while True: pass\n"),
    (2, "loop", "c", "int main(void) { for (;;) {} }\n"),
    (1, "sleep", "bash", "sleep infinity\n"),
    (
        2,
        "hoard",
        "python3",
        "import time\nkept = []\nwhile True:\n    kept.append(b'x' * (8 << 20))\n    time.sleep(0.01)\n",
    ),
    (
        2,
        "bomb",
        "c",
        r"#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    for (;;) {
        if (fork() == 0) { memset(malloc(8 << 20), 1, 8 << 20); pause(); }
        usleep(5000);
    }
}
",
    ),
    (3, "babble", "python3", "while True: print('x' * 1000)\n"),
    (4, "curious", "python3", "while True: input()\n"),
];

/// The same hundred each time, in a mixed order.
pub(crate) fn a_hundred() -> Vec<Submission> {
    let kinds = KINDS.iter().flat_map(|kind| (0..kind.0).map(move |_| kind));
    let kinds: Vec<_> = kinds.collect();
    // Coprime to a hundred, so that each is taken once.
    let mixed = (0..kinds.len()).map(|index| (index, kinds[index * 37 % kinds.len()]));
    mixed
        .map(|(index, &(_, name, language, code))| Submission {
            student: format!("{index:02}-{name}"),
            language,
            file: match language {
                "python3" => "main.py",
                "bash" => "main.sh",
                _ => "main.c",
            },
            code,
        })
        .collect()
}
