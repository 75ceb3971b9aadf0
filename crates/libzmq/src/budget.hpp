//  Bounds of the bytes and connections that this process holds for the peers of its listeners,
//  whatever the number of peers: libzmq's own high-water marks count the messages of each peer.
//
//  A queue may hold half of what all of them leave free (dynamic thresholds, Choudhury and Hahne,
//  1998), and an address as many connections as all of them leave free, so that there is always
//  room for peers that hold little.
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace zmq
{
//  Bytes that were received from peers and not yet read from the socket.
inline std::atomic<int64_t> &held_in ()
{
    static std::atomic<int64_t> bytes (0);
    return bytes;
}

//  Bytes to be sent to peers that the network has not accepted yet.
inline std::atomic<int64_t> &held_out ()
{
    static std::atomic<int64_t> bytes (0);
    return bytes;
}

//  A connection that a listener accepted, as long as it is open.
class accepted_t
{
  public:
    explicit accepted_t (int fd_) : _from (from (fd_))
    {
        const std::lock_guard<std::mutex> guard (all ().lock);
        ++all ().count;
        ++all ().of[_from];
    }
    ~accepted_t ()
    {
        const std::lock_guard<std::mutex> guard (all ().lock);
        --all ().count;
        const auto it = all ().of.find (_from);
        if (--it->second == 0)
            all ().of.erase (it);
    }

    //  Whether one more may be kept: its address holds fewer than all addresses leave free.
    static bool is_room_for (int fd_, int max_)
    {
        const std::lock_guard<std::mutex> guard (all ().lock);
        const auto it = all ().of.find (from (fd_));
        const int held = it == all ().of.end () ? 0 : it->second;
        return held < max_ - all ().count;
    }

  private:
    accepted_t (const accepted_t &) = delete;
    accepted_t &operator= (const accepted_t &) = delete;

    struct all_t
    {
        std::mutex lock;
        int count = 0;
        //  The number of connections of each address that has any.
        std::map<std::string, int> of;
    };
    //  Never freed: engines may outlive static objects.
    static all_t &all ()
    {
        static all_t *const all = new all_t;
        return *all;
    }

    //  The bytes of the peer's address: of IPv6 the network (/64); empty for ipc, and for a peer
    //  that has disconnected already.
    static std::string from (int fd_)
    {
        sockaddr_storage peer;
        socklen_t size = sizeof peer;
        if (getpeername (fd_, reinterpret_cast<sockaddr *> (&peer), &size) != 0)
            return std::string ();
        if (peer.ss_family == AF_INET) {
            const in_addr &four = reinterpret_cast<sockaddr_in *> (&peer)->sin_addr;
            return std::string (reinterpret_cast<const char *> (&four), 4);
        }
        if (peer.ss_family != AF_INET6)
            return std::string ();
        const in6_addr &six = reinterpret_cast<sockaddr_in6 *> (&peer)->sin6_addr;
        const char *const bytes = reinterpret_cast<const char *> (&six);
        return IN6_IS_ADDR_V4MAPPED (&six) ? std::string (bytes + 12, 4)
                                           : std::string (bytes, 8);
    }

    const std::string _from;
};

//  The size up to which a frame fits the connection's read buffer, or takes no more memory than
//  it: the default of in_batch_size.
const int64_t small_frame = 8192;

//  Whether all queues together leave twice as much as this.
inline bool leaves_room (const std::atomic<int64_t> &all_,
                         int64_t limit_,
                         int64_t bytes_)
{
    return bytes_ <= (limit_ - all_.load ()) / 2;
}

//  The bytes in one direction of one pipe. Both ends share the object; its destructor releases
//  the remaining bytes.
class tally_t
{
  public:
    explicit tally_t (std::atomic<int64_t> &all_) :
        open (false), wanted (false), _all (all_), _bytes (0)
    {
    }
    ~tally_t () { _all -= _bytes; }

    //  The memory of a frame: its bytes, its msg_t, and the overhead of malloc.
    static int64_t weight (size_t size_)
    {
        return static_cast<int64_t> (size_) + 128;
    }

    bool is_empty () const { return _bytes == 0; }
    bool admits (int64_t bytes_, int64_t limit_) const
    {
        return leaves_room (_all, limit_, _bytes + bytes_);
    }
    void charge (int64_t bytes_)
    {
        _all += bytes_;
        _bytes += bytes_;
    }
    //  Returns whether the direction is empty.
    bool release (int64_t bytes_)
    {
        _all -= bytes_;
        return (_bytes -= bytes_) == 0;
    }

    //  The writer is in the middle of a message.
    bool open;
    //  The writer waits for the reader to empty the pipe.
    std::atomic<bool> wanted;

  private:
    std::atomic<int64_t> &_all;
    std::atomic<int64_t> _bytes;
};
}
