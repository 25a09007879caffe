// Sends the requests that standard input lists, as cheaply as a client can, and tells what it took.
//
//   load PORT SOURCE < requests
//
// One request a line, its fields separated by tabs:
//   connection  method  path  offset  length  headers
// Requests of one connection go one after the other, connections side by side. A body is `length`
// bytes of SOURCE from `offset` on, by sendfile. Headers are separated by '|'. Answers are thrown
// away in the kernel. Any status but 2xx, or a broken connection, is an error.
//
// Prints {"seconds", "cpu_seconds", "sent_bytes", "received_bytes", "p50_s", "p99_s"}.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 1024, HEAD_BYTES = 1 << 16, DISCARD_BYTES = 1 << 20 };

struct request {
  char *method, *path, *headers;
  off_t offset;
  long length;
  double took_s;
  struct request *next;
};

static struct request *first[MOST_CONNECTIONS], *last[MOST_CONNECTIONS];
static long sent_bytes, received_bytes;
static const char *source;
static int port;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void read_requests(void) {
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    line[strcspn(line, "\n")] = 0;
    char *rest = line, *field[6];
    for (int i = 0; i < 6; i++)
      if (!(field[i] = strsep(&rest, "\t"))) die("a line needs six fields");
    int connection = atoi(field[0]);
    struct request *request = calloc(1, sizeof *request);
    request->method = strdup(field[1]);
    request->path = strdup(field[2]);
    request->offset = atol(field[3]);
    request->length = atol(field[4]);
    request->headers = strdup(field[5]);
    if (last[connection]) last[connection]->next = request;
    else first[connection] = request;
    last[connection] = request;
  }
}

static int connected(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (connect(s, (void *)&address, sizeof address)) die("connect");
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return s;
}

static void send_request(int s, int file, struct request *request) {
  char head[HEAD_BYTES];
  int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\n", request->method, request->path);
  char headers[HEAD_BYTES], *rest = strcpy(headers, request->headers), *header;
  while ((header = strsep(&rest, "|")))
    if (*header) n += snprintf(head + n, sizeof head - n, "%s\r\n", header);
  if (strcmp(request->method, "GET"))
    n += snprintf(head + n, sizeof head - n, "Content-Length: %ld\r\n", request->length);
  n += snprintf(head + n, sizeof head - n, "\r\n");
  if (send(s, head, n, request->length ? MSG_MORE : 0) != n) die("send");
  off_t at = request->offset;
  while (at < request->offset + request->length)
    if (sendfile(s, file, &at, request->offset + request->length - at) <= 0) die("sendfile");
}

static long receive_answer(int s, char *room) {
  long have = 0;
  char *end = NULL;
  while (!end) {
    long n = recv(s, room + have, HEAD_BYTES - 1 - have, 0);
    if (n <= 0) die("no answer");
    room[have += n] = 0;
    end = strstr(room, "\r\n\r\n");
  }
  int status = atoi(room + 9);
  char *named = strcasestr(room, "content-length:");
  long length = status != 204 && named && named < end ? atol(named + 15) : 0;
  if (status < 200 || status > 299) {
    fprintf(stderr, "status %d: %s\n", status, room);
    exit(1);
  }
  long left = length - (have - (end + 4 - room));
  while (left > 0) {
    long n = recv(s, room, left < DISCARD_BYTES ? left : DISCARD_BYTES, MSG_TRUNC);
    if (n <= 0) die("the answer broke off");
    left -= n;
  }
  return length;
}

static void *run(void *list) {
  int file = open(source, O_RDONLY), s = connected();
  char *room = malloc(DISCARD_BYTES);
  if (file < 0) die(source);
  for (struct request *request = list; request; request = request->next) {
    double began = now();
    send_request(s, file, request);
    long length = receive_answer(s, room);
    request->took_s = now() - began;
    __atomic_add_fetch(&sent_bytes, request->length, __ATOMIC_RELAXED);
    __atomic_add_fetch(&received_bytes, length, __ATOMIC_RELAXED);
  }
  close(s);
  close(file);
  free(room);
  return NULL;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: load PORT SOURCE < requests\n");
    return 2;
  }
  port = atoi(words[1]);
  source = words[2];
  read_requests();
  pthread_t threads[MOST_CONNECTIONS];
  double began = now();
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    if (first[i]) pthread_create(&threads[i], NULL, run, first[i]);
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    if (first[i]) pthread_join(threads[i], NULL);
  double seconds = now() - began;

  long requests = 0;
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    for (struct request *one = first[i]; one; one = one->next) requests++;
  double *took = calloc(requests + 1, sizeof *took);
  long n = 0;
  for (int i = 0; i < MOST_CONNECTIONS; i++)
    for (struct request *one = first[i]; one; one = one->next) took[n++] = one->took_s;
  qsort(took, n, sizeof *took, by_size);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec +
               (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"seconds\": %.4f, \"cpu_seconds\": %.3f, \"sent_bytes\": %ld, \"received_bytes\": %ld, "
         "\"p50_s\": %.5f, \"p99_s\": %.5f}\n",
         seconds, cpu, sent_bytes, received_bytes, n ? took[n / 2] : 0, n ? took[(long)(n * .99)] : 0);
}
