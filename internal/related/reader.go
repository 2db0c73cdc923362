// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related

import (
	"io"
	"strings"
)

// Reader reads the body of a message, after [NewReader] has read its head. It is not
// safe for concurrent use.
type Reader struct {
	Head

	s      *scanner
	before int64
	// err is what reading ended with.
	err error
}

// NewReader reads the head of a message. Its errors are [ErrMalformed], [ErrTooLarge]
// and those of the source; then there is no reader.
func NewReader(src io.Reader, boundary string, l Limits) (*Reader, error) {
	if !isBoundary(boundary) {
		return nil, malformed("not a boundary")
	}
	r := &Reader{s: newScanner(src, boundary)}
	if err := r.read(l); err != nil {
		return nil, err
	}
	r.before = r.s.passed
	r.s.begin()
	return r, nil
}

// read reads the head.
func (r *Reader) read(l Limits) error {
	first := string(r.s.delimiter[2:]) + "\r\n"
	if err := r.s.expect(first, "it does not begin with the delimiter"); err != nil {
		return err
	}
	if err := r.only(tokensType); err != nil {
		return err
	}
	text, err := r.part(l.TotalBytes, "the tokens in all")
	if err != nil {
		return err
	}
	if r.Tokens, err = tokens(text, l); err != nil {
		return err
	}
	if r.Header, err = r.header(); err != nil {
		return err
	}
	if !isReceipts(r.Header) {
		return plain(r.Header)
	}
	if err = exactly(r.Header, receiptsType); err != nil {
		return err
	}
	if r.Receipts, err = r.part(MaxReceiptBytes, "the receipts"); err != nil {
		return err
	}
	if !isStructured(r.Receipts) {
		return malformed("the receipts are not the text of a field")
	}
	if r.Header, err = r.header(); err != nil {
		return err
	}
	return plain(r.Header)
}

// plain refuses a form within a form: its tokens would be somebody's content, and pass
// through gateways as such.
func plain(h map[string]string) error {
	if _, ours, _ := ParseType(h[ContentType]); ours {
		return malformed("the body is of this form itself")
	}
	return nil
}

// only reads a header section that has a media type and nothing else.
func (r *Reader) only(media string) error {
	h, err := r.header()
	if err != nil {
		return err
	}
	return exactly(h, media)
}

func exactly(h map[string]string, media string) error {
	if len(h) != 1 || !strings.EqualFold(h[ContentType], media) {
		return malformed("a part is not of the type that stands in its place")
	}
	return nil
}

// header reads the header section of a part.
func (r *Reader) header() (map[string]string, error) {
	h := map[string]string{}
	for left := MaxHeaderBytes; ; {
		line, err := r.s.line(left)
		if err != nil || line == "" {
			return h, err
		}
		left -= len(line) + len("\r\n")
		name, value, ok := strings.Cut(line, ":")
		if name = known(name); !ok || name == "" {
			return nil, malformed("a part has a line that is none of its fields")
		}
		if _, again := h[name]; again {
			return nil, malformed("a part has a field twice")
		}
		if value = strings.Trim(value, blanks); !isValue(value) {
			return nil, malformed("a part has a field with a control character")
		}
		h[name] = value
	}
}

// known returns the name of a field as in [Fields], "" if it is none of these.
func known(name string) string {
	for _, f := range Fields() {
		if strings.EqualFold(name, f) {
			return f
		}
	}
	return ""
}

// part reads the content of a part that is not the last.
func (r *Reader) part(limit int, what string) (string, error) {
	text, err := r.s.content(limit, what)
	if err != nil {
		return "", err
	}
	return text, r.s.expect("\r\n", "a delimiter is followed by something else than the next part")
}

// tokens takes the tokens apart. As in a field, limits come before form.
func tokens(text string, l Limits) ([]string, error) {
	if strings.Count(text, "\r\n") >= l.Tokens {
		return nil, tooLarge("the number of tokens")
	}
	lines := strings.Split(text, "\r\n")
	for _, line := range lines {
		if len(line) > l.TokenBytes {
			return nil, tooLarge("a token")
		}
	}
	for _, line := range lines {
		if !isToken(line) {
			return nil, malformed("a line is not a token")
		}
	}
	return lines, nil
}

// BodyLength returns the length of the body of a message that has total bytes in all,
// -1 if that is negative, which stands for not known. The error is [ErrMalformed]: the
// message is too short for its own head and end.
func (r *Reader) BodyLength(total int64) (int64, error) {
	if total < 0 {
		return -1, nil
	}
	n := total - r.before - int64(len(r.s.delimiter)+len(closing))
	if n < 0 {
		return -1, malformed("it is cut short")
	}
	return n, nil
}

// Read implements io.Reader over the body. It is at its end, with io.EOF, only once the
// last delimiter and the end of the source were seen. Any other error, which never comes
// with data, is [ErrMalformed] or of the source: what was read is not the body.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	piece, err := r.s.next()
	if err == nil && len(piece) > 0 {
		n := copy(p, piece)
		r.s.pass(n)
		if r.s.over(closing) {
			r.err = io.EOF
		}
		return n, r.err
	}
	if err == nil {
		err = r.end()
	}
	r.err = err
	return 0, r.err
}

// end reads what follows the body, and returns io.EOF if that is right.
func (r *Reader) end() error {
	r.s.pass(len(r.s.delimiter))
	if err := r.s.expect(closing, "the body is followed by something else than the end"); err != nil {
		return err
	}
	if err := r.s.ended(); err != nil {
		return err
	}
	return io.EOF
}
