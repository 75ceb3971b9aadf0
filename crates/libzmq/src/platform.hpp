//  The configuration of libzmq for Linux, with glibc from 2.25 or musl: all descriptors are closed
//  on exec; CURVE with TweetNaCl and getrandom(2); no WebSockets.
#pragma once

#define ZMQ_HAVE_LINUX
#define ZMQ_IOTHREAD_POLLER_USE_EPOLL
#define ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC
#define ZMQ_POLL_BASED_ON_POLL
#define ZMQ_HAVE_SOCK_CLOEXEC
#define HAVE_ACCEPT4
#define ZMQ_HAVE_EVENTFD
#define ZMQ_HAVE_EVENTFD_CLOEXEC
#define ZMQ_HAVE_O_CLOEXEC
#define ZMQ_HAVE_IPC
#define ZMQ_HAVE_STRUCT_SOCKADDR_UN
#define ZMQ_HAVE_UIO
#define HAVE_STRNLEN
#define HAVE_CLOCK_GETTIME
#define ZMQ_USE_CV_IMPL_STL11

#include <limits.h>
#ifdef __GLIBC__
#if __GLIBC_PREREQ (2, 38)
#define ZMQ_HAVE_STRLCPY
#endif
#else
#define ZMQ_HAVE_STRLCPY
#endif

#define ZMQ_HAVE_CURVE
#define ZMQ_USE_TWEETNACL
#define ZMQ_HAVE_GETRANDOM
#include "tweetnacl.h"
