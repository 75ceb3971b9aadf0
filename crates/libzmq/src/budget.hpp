//  What this process holds for the peers of its listeners, in bytes and in connections. Neither
//  depends on how many peers there are: libzmq's own high-water marks count messages of each.
//
//  A queue may hold half of what all of them leave free (dynamic thresholds, Choudhury and Hahne,
//  1998), so that there is always room for those who hold little.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <atomic>
#include <memory>

namespace zmq
{
//  Bytes that came from peers and that the socket has not read yet.
inline std::atomic<int64_t> &held_in ()
{
    static std::atomic<int64_t> bytes (0);
    return bytes;
}

//  Bytes that go to peers and that the network has not taken yet.
inline std::atomic<int64_t> &held_out ()
{
    static std::atomic<int64_t> bytes (0);
    return bytes;
}

//  Connections that listeners accepted.
inline std::atomic<int> &accepted_connections ()
{
    static std::atomic<int> count (0);
    return count;
}

//  Up to this size a frame is held by the connection's read buffer, or costs as much as one; it
//  is the default of in_batch_size.
const int64_t small_frame = 8192;

//  Whether all queues together leave twice as much as this.
inline bool leaves_room (const std::atomic<int64_t> &all_,
                         int64_t limit_,
                         int64_t bytes_)
{
    return bytes_ <= (limit_ - all_.load ()) / 2;
}

//  What one direction of one pipe holds. Both of its ends share it; what is left when they are
//  gone is given back.
class tally_t
{
  public:
    explicit tally_t (std::atomic<int64_t> &all_) :
        open (false), wanted (false), _all (all_), _bytes (0)
    {
    }
    ~tally_t () { _all -= _bytes; }

    //  What a frame costs: its bytes, its msg_t, and what malloc adds.
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
    //  Tells whether nothing is left.
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
