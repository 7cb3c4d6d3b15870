/* The floor: a UDP forwarder that looks at nothing. From the caller to the callee, from the callee to the caller.
 * forwarder LISTEN_PORT CALLEE_PORT: prints nothing, ends by a signal. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    char buffer[65536];
    struct sockaddr_in local = {.sin_family = AF_INET}, callee = {.sin_family = AF_INET}, caller = {0}, from;
    local.sin_addr.s_addr = callee.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    local.sin_port = htons(atoi(argv[1]));
    callee.sin_port = htons(atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&local, sizeof local)) return 1;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);
        if (size < 0) continue;
        if (from.sin_port == callee.sin_port) {
            sendto(fd, buffer, size, 0, (struct sockaddr *)&caller, sizeof caller);
        } else {
            caller = from;
            sendto(fd, buffer, size, 0, (struct sockaddr *)&callee, sizeof callee);
        }
    }
}
