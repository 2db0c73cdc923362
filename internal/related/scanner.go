// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related

import (
	"bytes"
	"io"
	"strings"
)

const (
	// bufferBytes is what a scanner holds of its source. It has room for the header section
	// of a part, and for a delimiter.
	bufferBytes = 16 << 10
	// maxEmptyReads is how often a source may give neither bytes nor an error.
	maxEmptyReads = 100
)

// scanner finds delimiters in a source. Of its buffer, what is before start was passed,
// what is before safe belongs to the part that is being read, and what is before end
// was read.
type scanner struct {
	src              io.Reader
	delimiter        []byte // CRLF, two hyphens and the boundary
	buf              []byte
	start, safe, end int
	// found tells that the delimiter stands at safe; first, that nothing is known yet of
	// the part.
	found, first bool
	// passed counts the bytes before start.
	passed int64
	// err is what reading the source ended with.
	err error
}

func newScanner(src io.Reader, boundary string) *scanner {
	return &scanner{src: src, delimiter: []byte("\r\n--" + boundary), buf: make([]byte, bufferBytes)}
}

// window returns what was read and not passed.
func (s *scanner) window() []byte { return s.buf[s.start:s.end] }

// pass goes on by n bytes.
func (s *scanner) pass(n int) {
	s.start += n
	s.passed += int64(n)
	s.safe = max(s.safe, s.start)
}

// fill reads more, which the buffer must have room for once what was passed is gone.
func (s *scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	n := copy(s.buf, s.window())
	s.safe -= s.start
	s.start, s.end = 0, n
	for range maxEmptyReads {
		n, s.err = s.src.Read(s.buf[s.end:])
		s.end += n
		if n > 0 {
			return nil
		}
		if s.err != nil {
			return s.err
		}
	}
	s.err = io.ErrNoProgress
	return s.err
}

// more is fill where the message cannot end yet.
func (s *scanner) more() error {
	err := s.fill()
	if err == io.EOF { //nolint:errorlint // a reader's end is io.EOF itself; an error that wraps it is a failure
		return malformed("it is cut short")
	}
	return err
}

// expect passes a text that must come next.
func (s *scanner) expect(text, what string) error {
	for {
		w := s.window()
		n := min(len(w), len(text))
		if string(w[:n]) != text[:n] {
			return malformed(what)
		}
		if n == len(text) {
			s.pass(n)
			return nil
		}
		if err := s.more(); err != nil {
			return err
		}
	}
}

// line passes a line and returns it without its end, with which it is no longer than
// limit.
func (s *scanner) line(limit int) (string, error) {
	for seen := 0; ; {
		w := s.window()
		i := bytes.IndexByte(w[seen:], '\n')
		switch {
		case i < 0 && len(w) < limit:
			seen = len(w)
			if err := s.more(); err != nil {
				return "", err
			}
			continue
		case i < 0 || seen+i >= limit:
			return "", tooLarge("the header section of a part")
		}
		line, ok := strings.CutSuffix(string(w[:seen+i]), "\r")
		if !ok {
			return "", malformed("a line ends in a bare LF")
		}
		s.pass(seen + i + 1)
		return line, nil
	}
}

// begin is called where the content of a part begins.
func (s *scanner) begin() { s.found, s.first = false, true }

// next returns what is known to belong to the part, and waits until something is. At
// the end of the part it returns nothing. What was taken is passed by the caller.
func (s *scanner) next() ([]byte, error) {
	for {
		if s.safe == s.start && !s.found {
			if err := s.look(); err != nil {
				return nil, err
			}
		}
		if s.safe > s.start || s.found {
			return s.buf[s.start:s.safe], nil
		}
		if err := s.more(); err != nil {
			return nil, err
		}
	}
}

// look tells what of the window belongs to the part: what stands before the delimiter,
// and before what may be the beginning of one.
func (s *scanner) look() error {
	w := s.buf[s.safe:s.end]
	if s.first {
		// The line end before the content could be taken for that of a delimiter.
		line := s.delimiter[2:]
		n := min(len(w), len(line))
		if bytes.Equal(w[:n], line[:n]) {
			if n == len(line) {
				return malformed("a part begins with the delimiter")
			}
			return nil
		}
		s.first = false
	}
	if i := bytes.Index(w, s.delimiter); i >= 0 {
		s.safe += i
		s.found = true
		return nil
	}
	s.safe = s.end
	// A delimiter has one CR, its first byte.
	tail := w[max(0, len(w)-len(s.delimiter)+1):]
	if i := bytes.LastIndexByte(tail, '\r'); i >= 0 && bytes.HasPrefix(s.delimiter, tail[i:]) {
		s.safe -= len(tail) - i
	}
	return nil
}

// content reads the content of a part that is no longer than limit, and passes the
// delimiter behind it.
func (s *scanner) content(limit int, what string) (string, error) {
	var text []byte
	s.begin()
	for {
		piece, err := s.next()
		if err != nil {
			return "", err
		}
		if len(piece) == 0 {
			s.pass(len(s.delimiter))
			return string(text), nil
		}
		if len(text)+len(piece) > limit {
			return "", tooLarge(what)
		}
		text = append(text, piece...)
		s.pass(len(piece))
	}
}

// over tells whether a delimiter, this text and the end of the source come next, and have
// come: who knows how long the body is does not ask for its end.
func (s *scanner) over(text string) bool {
	w := s.window()
	return s.found && s.start == s.safe && s.err == io.EOF && //nolint:errorlint // as above
		len(w) == len(s.delimiter)+len(text) && string(w[len(s.delimiter):]) == text
}

// ended tells whether the source has ended.
func (s *scanner) ended() error {
	if len(s.window()) == 0 {
		err := s.fill()
		if err == io.EOF { //nolint:errorlint // as above
			return nil
		}
		if err != nil {
			return err
		}
	}
	return malformed("it goes on after its end")
}
