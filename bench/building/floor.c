/*
 * The floor: 1,000 guests with as little as the kernel needs to be told, over raw rtnetlink: namespaces, or taps that
 * persist, which have no namespace.
 *
 *     floor build|down veth|macvlan|tap COUNT
 *
 * It is run inside the private namespaces that private.py makes: /run is its own, and so is the network. `build` leaves
 * namespaces g-1 … g-COUNT under /run/netns, so that a second process, `down`, finds them. Every answer of the kernel is
 * read and an error ends the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 128, GUEST_INDEX = 100, HOST_INDEX = 1000, GROUP = 7077 };

struct guest {
	int netns;  /* descriptor of its namespace */
	int socket; /* rtnetlink socket inside it */
};

struct batch {
	int socket;
	unsigned messages;
	size_t length;
	struct nlmsghdr *last;
	char bytes[BATCH * 512];
};

static void fail(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_rtnetlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), one = 1;
	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one))
		fail("rtnetlink socket");
	return fd;
}

/* Send what has been gathered, and read one acknowledgement for each message. */
static void flush(struct batch *b)
{
	static char answer[1 << 16];
	if (!b->messages)
		return;
	if (send(b->socket, b->bytes, b->length, 0) != (ssize_t)b->length)
		fail("send");
	while (b->messages) {
		ssize_t got = recv(b->socket, answer, sizeof answer, 0);
		if (got < 0)
			fail("receive");
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, got); h = NLMSG_NEXT(h, got)) {
			struct nlmsgerr *e = NLMSG_DATA(h);
			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (e->error) {
				errno = -e->error;
				fprintf(stderr, "floor: message %u of type %u: ", e->msg.nlmsg_seq, e->msg.nlmsg_type);
				fail("refused");
			}
			b->messages--;
		}
	}
	b->length = 0;
}

static void *start(struct batch *b, int type, int flags, const void *fixed, size_t length)
{
	static unsigned sequence;
	if (b->messages == BATCH)
		flush(b);
	struct nlmsghdr *h = b->last = (void *)(b->bytes + b->length);
	memset(h, 0, 512);
	*h = (struct nlmsghdr){NLMSG_LENGTH(length), type, NLM_F_REQUEST | NLM_F_ACK | flags, ++sequence, 0};
	memcpy(NLMSG_DATA(h), fixed, length);
	b->messages++;
	b->length += NLMSG_ALIGN(h->nlmsg_len);
	return h;
}

static struct rtattr *put(struct batch *b, int type, const void *value, size_t length)
{
	struct rtattr *a = (void *)((char *)b->last + NLMSG_ALIGN(b->last->nlmsg_len));
	a->rta_type = type;
	a->rta_len = RTA_LENGTH(length);
	if (length)
		memcpy(RTA_DATA(a), value, length);
	b->last->nlmsg_len = NLMSG_ALIGN(b->last->nlmsg_len) + RTA_ALIGN(a->rta_len);
	b->length = (char *)b->last - b->bytes + NLMSG_ALIGN(b->last->nlmsg_len);
	return a;
}

static void put32(struct batch *b, int type, unsigned value)
{
	put(b, type, &value, sizeof value);
}

static void put_string(struct batch *b, int type, const char *value)
{
	put(b, type, value, strlen(value) + 1);
}

static void end(struct batch *b, struct rtattr *nest)
{
	nest->rta_len = (char *)b->last + b->last->nlmsg_len - (char *)nest;
}

static void name_of(char *name, size_t size, const char *format, unsigned i)
{
	snprintf(name, size, format, i);
}

static void make_namespaces(struct guest *guests, unsigned count, int home)
{
	char path[64];
	if ((mkdir("/run/netns", 0755) && errno != EEXIST) || mount("/run/netns", "/run/netns", NULL, MS_BIND, NULL))
		fail("/run/netns");
	for (unsigned i = 0; i < count; i++) {
		name_of(path, sizeof path, "/run/netns/g-%u", i + 1);
		int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (fd < 0 || close(fd) || unshare(CLONE_NEWNET) || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL))
			fail(path);
		guests[i].netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (guests[i].netns < 0)
			fail("/proc/self/ns/net");
		guests[i].socket = open_rtnetlink();
	}
	if (setns(home, CLONE_NEWNET))
		fail("setns");
}

static void make_bridge(struct batch *b)
{
	struct ifinfomsg up = {.ifi_index = 10, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct ifaddrmsg to = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = 10};
	in_addr_t gateway = inet_addr("10.77.0.1");
	start(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
	put_string(b, IFLA_IFNAME, "br0");
	struct rtattr *info = put(b, IFLA_LINKINFO, NULL, 0);
	put_string(b, IFLA_INFO_KIND, "bridge");
	end(b, info);
	start(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &to, sizeof to);
	put(b, IFA_LOCAL, &gateway, 4);
	put(b, IFA_ADDRESS, &gateway, 4);
	flush(b);
}

static void make_veths(struct batch *b, struct guest *guests, unsigned count)
{
	char name[IFNAMSIZ];
	for (unsigned i = 0; i < count; i++) {
		/* The kernel heeds the peer's index only where this end's is given too. */
		struct ifinfomsg up = {.ifi_index = HOST_INDEX + i, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
		struct ifinfomsg peer = {.ifi_index = GUEST_INDEX};
		start(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
		name_of(name, sizeof name, "v%u", i + 1);
		put_string(b, IFLA_IFNAME, name);
		put32(b, IFLA_MASTER, 10);
		struct rtattr *info = put(b, IFLA_LINKINFO, NULL, 0);
		put_string(b, IFLA_INFO_KIND, "veth");
		struct rtattr *data = put(b, IFLA_INFO_DATA, NULL, 0);
		struct rtattr *other = put(b, VETH_INFO_PEER, &peer, sizeof peer);
		put_string(b, IFLA_IFNAME, "eth0");
		put32(b, IFLA_NET_NS_FD, guests[i].netns);
		end(b, other);
		end(b, data);
		end(b, info);
	}
	flush(b);
}

/* rtnetlink makes no tap: each is an open, two ioctls and a close, and then one of a batch. */
static void make_taps(struct batch *b, unsigned count)
{
	char name[IFNAMSIZ];
	struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	for (unsigned i = 0; i < count; i++) {
		struct ifreq wanted = {.ifr_flags = IFF_TAP | IFF_NO_PI};
		int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		name_of(wanted.ifr_name, sizeof wanted.ifr_name, "t%u", i + 1);
		if (fd < 0 || ioctl(fd, TUNSETIFF, &wanted) || ioctl(fd, TUNSETPERSIST, 1) || close(fd))
			fail("/dev/net/tun");
	}
	for (unsigned i = 0; i < count; i++) {
		start(b, RTM_NEWLINK, 0, &up, sizeof up);
		name_of(name, sizeof name, "t%u", i + 1);
		put_string(b, IFLA_IFNAME, name);
		put32(b, IFLA_MASTER, 10);
	}
	flush(b);
}

static void make_macvlans(struct batch *b, struct guest *guests, unsigned count)
{
	unsigned parent = if_nametoindex("p0");
	for (unsigned i = 0; i < count; i++) {
		struct ifinfomsg up = {.ifi_index = GUEST_INDEX, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
		start(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
		put_string(b, IFLA_IFNAME, "eth0");
		put32(b, IFLA_LINK, parent);
		put32(b, IFLA_NET_NS_FD, guests[i].netns);
		struct rtattr *info = put(b, IFLA_LINKINFO, NULL, 0);
		put_string(b, IFLA_INFO_KIND, "macvlan");
		struct rtattr *data = put(b, IFLA_INFO_DATA, NULL, 0);
		put32(b, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
		end(b, data);
		end(b, info);
	}
	flush(b);
}

/* Link up (where it isn't yet), address and default route: one send and one guest at a time. */
static void configure(struct batch *b, struct guest *guests, unsigned count, unsigned net, int is_up)
{
	struct ifinfomsg up = {.ifi_index = GUEST_INDEX, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct ifaddrmsg to = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = GUEST_INDEX};
	struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
			      .rtm_type = RTN_UNICAST};
	in_addr_t gateway = htonl(net + 1);
	for (unsigned i = 0; i < count; i++) {
		in_addr_t address = htonl(net + i + 2);
		b->socket = guests[i].socket;
		if (!is_up)
			start(b, RTM_NEWLINK, 0, &up, sizeof up);
		start(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &to, sizeof to);
		put(b, IFA_LOCAL, &address, 4);
		put(b, IFA_ADDRESS, &address, 4);
		start(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
		put(b, RTA_GATEWAY, &gateway, 4);
		put32(b, RTA_OIF, GUEST_INDEX);
		flush(b);
	}
}

static void build(struct batch *b, const char *kind, unsigned count)
{
	if (!strcmp(kind, "tap")) {
		make_bridge(b);
		make_taps(b, count);
		return;
	}
	struct rlimit files;
	int host = b->socket, home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct guest *guests = calloc(count, sizeof *guests);
	if (!guests || home < 0 || getrlimit(RLIMIT_NOFILE, &files))
		fail("start");
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	make_namespaces(guests, count, home);
	if (!strcmp(kind, "macvlan")) {
		make_macvlans(b, guests, count);
		configure(b, guests, count, 0x0a4e0000, 1);
	} else {
		make_bridge(b);
		make_veths(b, guests, count);
		configure(b, guests, count, 0x0a4d0000, 0);
	}
	b->socket = host;
}

static void down(struct batch *b, const char *kind, unsigned count)
{
	int tap = !strcmp(kind, "tap");
	char name[64];
	struct ifinfomsg none = {0};
	/* A tap, or a veth's host end, is given a group of its own, and the group deleted: the kernel then waits once, not a
	 * thousand times. A macvlan is in the guest's namespace and goes with it. */
	if (strcmp(kind, "macvlan")) {
		for (unsigned i = 0; i < count; i++) {
			start(b, RTM_SETLINK, 0, &none, sizeof none);
			name_of(name, sizeof name, tap ? "t%u" : "v%u", i + 1);
			put_string(b, IFLA_IFNAME, name);
			put32(b, IFLA_GROUP, GROUP);
		}
		start(b, RTM_SETLINK, 0, &none, sizeof none);
		put_string(b, IFLA_IFNAME, "br0");
		put32(b, IFLA_GROUP, GROUP);
		start(b, RTM_DELLINK, 0, &none, sizeof none);
		put32(b, IFLA_GROUP, GROUP);
		flush(b);
	}
	for (unsigned i = 0; !tap && i < count; i++) {
		name_of(name, sizeof name, "/run/netns/g-%u", i + 1);
		if (umount2(name, MNT_DETACH) || unlink(name))
			fail(name);
	}
}

int main(int argc, char **argv)
{
	static struct batch b;
	if (argc != 4) {
		fprintf(stderr, "usage: floor build|down veth|macvlan|tap COUNT\n");
		return 64;
	}
	b.socket = open_rtnetlink();
	(strcmp(argv[1], "down") ? build : down)(&b, argv[2], atoi(argv[3]));
	return 0;
}
