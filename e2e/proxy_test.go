package e2e

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// A proxy stands between the bridge and one broker. It can cut all connections
// that run through it, stall them, so that no octet comes through in either
// direction, and hold those that are open now, whose octets come through late.
type proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	change *sync.Cond // on mu: stalled, done or a pipe's held has changed
	stall  bool
	done   bool
	pipes  map[*pipe]struct{}
	wg     sync.WaitGroup
}

// A pipe is one direction of a connection. The proxy's mu guards held.
type pipe struct {
	from, to net.Conn
	held     bool
}

// newProxy gives a proxy in front of the URL's host and the URL that leads
// through it.
func newProxy(t testing.TB, rawURL string) (*proxy, string) {
	t.Helper()
	return newProxyAt(t, "127.0.0.1:0", rawURL)
}

// newProxyAt is newProxy at an address that is known to somebody already.
func newProxyAt(t testing.TB, address, rawURL string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: u.Host, pipes: map[*pipe]struct{}{}}
	p.change = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		there, back := &pipe{from: client, to: server}, &pipe{from: server, to: client}
		p.mu.Lock()
		if p.done {
			_, _ = client.Close(), server.Close()
		}
		p.pipes[there], p.pipes[back] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.run(there) })
		p.wg.Go(func() { p.run(back) })
	}
}

// run copies until an end is closed, and then closes both. What a held pipe reads
// waits in memory, so that its client may even be gone by then.
func (p *proxy) run(x *pipe) {
	buf := make([]byte, 64<<10)
	var late []byte
	for {
		n, err := x.from.Read(buf)
		p.mu.Lock()
		for !p.done && (p.stall || x.held && err != nil) {
			p.change.Wait()
		}
		held := x.held && !p.done
		p.mu.Unlock()
		late = append(late, buf[:n]...)
		if !held && len(late) > 0 {
			if _, werr := x.to.Write(late); werr != nil {
				err = werr
			}
			late = late[:0]
		}
		if err != nil {
			break
		}
	}
	_, _ = x.from.Close(), x.to.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pipes, x)
}

// cut closes every connection, without a word.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.pipes {
		if tcp, ok := x.from.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset: what is on its way is lost
		}
		_ = x.from.Close()
	}
}

// setStalled stops or resumes the flow of octets.
func (p *proxy) setStalled(stall bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = stall
	p.change.Broadcast()
}

// hold keeps what comes through the connections that are open now; later ones are
// free. release lets it go on.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.pipes {
		x.held = true
	}
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.pipes {
		x.held = false
	}
	p.change.Broadcast()
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.done = true
	p.change.Broadcast()
	p.mu.Unlock()
	p.cut()
	p.wg.Wait()
}
