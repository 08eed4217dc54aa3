package e2e

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// A proxy stands between the bridge and one broker. It can cut all connections
// that run through it, and stall them: take no more octets in either direction.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	flow  *sync.Cond // on mu: stalled has changed
	stall bool
	conns map[net.Conn]struct{}
	done  bool
	wg    sync.WaitGroup
}

// newProxy gives a proxy in front of the URL's host and the URL that leads
// through it.
func newProxy(t testing.TB, rawURL string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: u.Host, conns: map[net.Conn]struct{}{}}
	p.flow = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.target)
		if err != nil || !p.add(from, to) {
			_ = from.Close()
			continue
		}
		p.wg.Go(func() { p.pipe(from, to) })
		p.wg.Go(func() { p.pipe(to, from) })
	}
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

// pipe copies until either end is closed, and then closes both.
func (p *proxy) pipe(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.stall && !p.done {
			p.flow.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range []net.Conn{from, to} {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// cut closes every connection, without a word.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset: what is on its way is lost
		}
		_ = c.Close()
	}
}

// setStalled stops or resumes the flow of octets.
func (p *proxy) setStalled(stall bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = stall
	p.flow.Broadcast()
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.done = true
	p.flow.Broadcast()
	p.mu.Unlock()
	p.cut()
	p.wg.Wait()
}
