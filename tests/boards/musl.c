/* Runs an image's executor with a team of two helpers on musl's C library, as edge_rt/native does from Python.
   musl IMAGE CODE_OFFSET CODE_SIZE RUN_PROGRAM HELP_TEAM STOP_TEAM MEMBERS (three offsets of symbols, and where a
   team has the number of its members) */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void (*kernel)(const int64_t *args, int64_t part, int64_t parts);

static kernel help;
static int64_t words[3][2]; /* of each member: the team's memory, and its number */

static void *helper(void *own) {
  help(own, 0, 1);
  return own;
}

int main(int count, char **given) {
  if (count != 8) return 2;
  int file = open(given[1], O_RDONLY);
  char *code = mmap(NULL, atol(given[3]), PROT_READ | PROT_EXEC, MAP_PRIVATE, file, atol(given[2]));
  if (code == MAP_FAILED) return 3;
  kernel run = (kernel)(code + atol(given[4])), stop = (kernel)(code + atol(given[6]));
  help = (kernel)(code + atol(given[5]));

  void *memory;
  if (posix_memalign(&memory, 128, 1 << 16)) return 4;
  memset(memory, 0, 1 << 16);
  ((int64_t *)memory)[atol(given[7])] = 3;
  for (int i = 0; i < 3; i++) {
    words[i][0] = (int64_t)memory;
    words[i][1] = i;
  }
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, helper, words[i + 1])) return 5;

  int64_t table[1] = {0}, program[5] = {(int64_t)table, 0, 0, (int64_t)memory, 0};
  run(program, 0, 1);
  usleep(100000); /* the helpers fall asleep */
  stop(words[0], 0, 1);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  puts("done");
  return 0;
}
