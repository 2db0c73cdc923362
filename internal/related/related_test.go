// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/internal/related"
)

// TestForm pins what a message looks like, byte for byte.
func TestForm(t *testing.T) {
	for name, want := range map[string]string{
		"one token": lines("--the-boundary", "Content-Type: application/exec+jwt", "", "a.b.c",
			"--the-boundary", "Content-Type: text/plain", "", "the body",
			"--the-boundary--", ""),
		"everything": lines("--the-boundary", "Content-Type: application/exec+jwt", "", "a.b.c", "e30", "A-Z_0.9",
			"--the-boundary", "Content-Type: application/tlog-proof", "", ":AAAA:;td=:AAAA:, :BBBB:;td=:BBBB:",
			"--the-boundary", `Content-Type: text/plain; charset="utf-8"`, "Content-Encoding: gzip", "Content-Language: de, en",
			"Content-Disposition: attachment; filename=\"\xfcber.txt\"", "", "the body",
			"--the-boundary--", ""),
		"no fields": lines("--the-boundary", "Content-Type: application/exec+jwt", "", "a.b.c",
			"--the-boundary", "", "the body", "--the-boundary--", ""),
		"empty": lines("--the-boundary", "Content-Type: application/exec+jwt", "", "a.b.c",
			"--the-boundary", "Content-Type: text/plain", "", "", "--the-boundary--", ""),
		"a body of receipts": lines("--the-boundary", "Content-Type: application/exec+jwt", "", "a.b.c",
			"--the-boundary", "Content-Type: application/tlog-proof", "", "",
			"--the-boundary", "Content-Type: application/tlog-proof", "", "the body", "--the-boundary--", ""),
	} {
		if got := write(t, samples()[name], boundary); got != want {
			t.Errorf("%s: wrote %q, want %q", name, got, want)
		}
	}
}

// TestRoundTrip reads back what was written, however it comes.
func TestRoundTrip(t *testing.T) {
	sources := map[string]func(io.Reader) io.Reader{
		"at once":             func(r io.Reader) io.Reader { return r },
		"byte by byte":        iotest.OneByteReader,
		"in halves":           iotest.HalfReader,
		"with its end":        iotest.DataErrReader,
		"with the end, bytes": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
		"with empty reads":    func(r io.Reader) io.Reader { return &stuttering{r: r} },
	}
	for name, want := range samples() {
		t.Run(name, func(t *testing.T) {
			for _, b := range []string{boundary, "x", "--", "a b", strings.Repeat("'()+_,-./", 7), related.NewBoundary()} {
				if strings.Contains(want.body, "--"+b) {
					continue
				}
				text := write(t, want, b)
				for how, source := range sources {
					got, err := read(source(strings.NewReader(text)), b, limits)
					if err != nil {
						t.Fatalf("boundary %q, %s: %v", b, how, err)
					}
					if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{})); diff != "" {
						t.Errorf("boundary %q, %s (-want +got):\n%s", b, how, diff)
					}
				}
				if got, err := read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(text))), b, limits); !errors.Is(err, iotest.ErrTimeout) {
					t.Errorf("boundary %q, a source that fails: %v, %v; want its error", b, got, err)
				}
			}
		})
	}
}

// stuttering gives nothing on every other read.
type stuttering struct {
	r    io.Reader
	give bool
}

func (s *stuttering) Read(p []byte) (int, error) {
	if s.give = !s.give; !s.give {
		return 0, nil
	}
	return s.r.Read(p)
}

// TestReadByByte: bytes come out as they come in, those aside that may be a delimiter.
func TestReadByByte(t *testing.T) {
	m := samples()["nearly delimiters"]
	before, after, err := m.Frame(boundary)
	if err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	seen := make(chan struct{})
	go func() {
		io.WriteString(pw, before) //nolint:errcheck // what does not come is missed below
		for n := range m.body {
			io.WriteString(pw, m.body[n:n+1]) //nolint:errcheck // as above
		}
		<-seen
		io.WriteString(pw, after) //nolint:errcheck // as above
		pw.Close()
	}()
	r, err := related.NewReader(pr, boundary, limits)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.LimitReader(r, int64(len(m.body)-len("\r\n--"))))
	if want := m.body[:len(m.body)-len("\r\n--")]; string(got) != want || err != nil {
		t.Errorf("before the end was seen came %q, %v; want %q", got, err, want)
	}
	close(seen)
	if rest, err := io.ReadAll(r); string(rest) != "\r\n--" || err != nil {
		t.Errorf("then came %q, %v", rest, err)
	}
	if n, err := r.Read(nil); n != 0 || err != io.EOF { //nolint:errorlint // the contract of io.Reader
		t.Errorf("Read = %d, %v after the end", n, err)
	}
}

// TestEndIsSeen: the last bytes of the body are no end before that of the source.
func TestEndIsSeen(t *testing.T) {
	text := write(t, samples()["one token"], boundary)
	broken := errors.New("the connection broke")
	r, err := related.NewReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), boundary, limits)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != "the body" || !errors.Is(err, broken) {
		t.Errorf("ReadAll = %q, %v; want the body, and then the error of the source", got, err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, broken) {
		t.Errorf("Read = %v after that", err)
	}
	if _, err := related.NewReader(never{}, boundary, limits); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("NewReader of what never comes = %v", err)
	}
}

type never struct{}

func (never) Read([]byte) (int, error) { return 0, nil }

func TestBodyLength(t *testing.T) {
	for name, m := range samples() {
		text := write(t, m, boundary)
		r, err := related.NewReader(strings.NewReader(text), boundary, limits)
		if err != nil {
			t.Fatal(err)
		}
		for total, want := range map[int64]int64{
			-1: -1, int64(len(text)): int64(len(m.body)), int64(len(text) - len(m.body)): 0, int64(len(text)) + 1<<40: int64(len(m.body)) + 1<<40,
		} {
			if got, err := r.BodyLength(total); got != want || err != nil {
				t.Errorf("%s: BodyLength(%d) = %d, %v; want %d", name, total, got, err, want)
			}
		}
		for _, total := range []int64{0, 1, int64(len(text)-len(m.body)) - 1} {
			if _, err := r.BodyLength(total); !errors.Is(err, related.ErrMalformed) {
				t.Errorf("%s: BodyLength(%d) = %v, want ErrMalformed", name, total, err)
			}
		}
	}
}

// TestLongBody: what is held does not grow with the body.
func TestLongBody(t *testing.T) {
	const size = 64 << 20
	before, after, err := (&related.Head{Tokens: []string{"e30"}}).Frame(boundary)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("0123456789abc\r\n-"), 4<<10)
	n := 0
	body := readerFunc(func(p []byte) (int, error) {
		if n == size {
			return 0, io.EOF
		}
		c := copy(p, piece[n%len(piece):])
		c = min(c, size-n)
		n += c
		return c, nil
	})
	allocs := testing.AllocsPerRun(1, func() {
		n = 0
		r, err := related.NewReader(io.MultiReader(strings.NewReader(before), body, strings.NewReader(after)), boundary, limits)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.Copy(io.Discard, struct{ io.Reader }{r}); got != size || err != nil {
			t.Errorf("Copy = %d, %v", got, err)
		}
	})
	if allocs > 64 {
		t.Errorf("a body of %d bytes took %v allocations", size, allocs)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
