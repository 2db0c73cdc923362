// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Codec is the hook by which interceptors learn what messages are on the wire: it
// serializes with the codec that it is made of, once, and hashes those very bytes, before
// they are compressed. Protobuf has many serializations of one message, so a second one
// would prove nothing.
//
// It is registered nowhere: a server gets it with [Codec.ServerOption]. A client needs
// none, since its interceptors put one on each call; [Codec.DialOption] is for codecs of
// one's own. One may serve several servers. It is safe for concurrent use.
type Codec struct {
	inner encoding.CodecV2
	// plain tells that the codec is grpc-go's own, which names no content-subtype.
	plain    bool
	arrivals arrivals
	given    atomic.Bool
}

// NewCodec returns a hook over a codec; nil means the one registered for protobuf. A
// server speaks that codec alone, as with grpc.ForceServerCodecV2: a call that names another
// content-subtype is refused, and one that names none counts as the server's. A unary call
// whose request the codec cannot read is refused by grpc-go, as codes.Internal, before any
// interceptor is asked.
func NewCodec(inner encoding.CodecV2) *Codec {
	if inner == nil {
		return &Codec{inner: registered(proto.Name), plain: true}
	}
	return &Codec{inner: inner}
}

// NewCodecV1 is [NewCodec] for a codec of grpc-go's first interface.
func NewCodecV1(inner encoding.Codec) *Codec { return NewCodec(codecV1{inner, inner.Name()}) }

// ServerOption makes a server serialize with the hook. Give it to grpc.NewServer before the
// interceptors: they are made from the same hook, and panic, while the program starts, if
// it was given to no server before them. It takes the place of grpc.ForceServerCodec.
func (c *Codec) ServerOption() grpc.ServerOption {
	c.given.Store(true)
	return grpc.ForceServerCodecV2((*serverCodec)(c))
}

// DialOption makes the hook's codec the one that a connection's calls are written with, as
// grpc.ForceCodecV2 among its default call options does.
func (c *Codec) DialOption() grpc.DialOption {
	if c.plain {
		return grpc.EmptyDialOption{}
	}
	return grpc.WithDefaultCallOptions(grpc.ForceCodecV2(c.inner))
}

// serverCodec is a hook as a server's codec.
type serverCodec Codec

// Name implements encoding.CodecV2.
func (c *serverCodec) Name() string { return c.inner.Name() }

// Marshal implements encoding.CodecV2. What an interceptor sends comes in a parcel, so
// that messages that several calls share are told apart.
func (c *serverCodec) Marshal(v any) (mem.BufferSlice, error) {
	p, ok := v.(interface{ self() *parcel })
	if !ok {
		return c.inner.Marshal(v)
	}
	return p.self().marshal(c)
}

// Unmarshal implements encoding.CodecV2.
func (c *serverCodec) Unmarshal(data mem.BufferSlice, v any) error {
	object, ok := identity(v)
	if _, raw := v.(*rawMessage); raw || !ok {
		return (*Codec)(c).open(data, v)
	}
	if stream := c.arrivals.expected(object); stream != nil {
		stream.add(data)
		return c.inner.Unmarshal(data, v)
	}
	if err := c.inner.Unmarshal(data, v); err != nil {
		return err
	}
	c.arrivals.put(object, sumOf(data))
	return nil
}

// open gives a message its type, or its bytes to who wants no more.
func (c *Codec) open(data mem.BufferSlice, v any) error {
	r, ok := v.(*rawMessage)
	if !ok {
		return c.inner.Unmarshal(data, v)
	}
	data.Ref()
	r.data.Free() // one before it, where there must be no other
	r.data, r.by = data, c
	return nil
}

// rawMessage is a message that is read before anybody knows its type.
type rawMessage struct {
	data mem.BufferSlice
	// by is the hook that it passed, nil if it passed none.
	by *Codec
}

// parcel is a message on its way from an interceptor to the codec.
type parcel struct {
	message any
	// data is the message if it was serialized before, which it is handed on as, once.
	data   mem.BufferSlice
	packed atomic.Bool
	// sent hashes a message that is serialized now; nil for one that was before.
	sent *content
}

func (p *parcel) self() *parcel { return p }

// marshal serializes the message, unless that was done.
func (p *parcel) marshal(codec *serverCodec) (mem.BufferSlice, error) {
	if p.packed.Swap(false) {
		return p.data, nil
	}
	var data mem.BufferSlice
	if p.message != nil {
		var err error
		if data, err = codec.Marshal(p.message); err != nil {
			return nil, err
		}
	}
	if p.sent != nil {
		p.sent.add(data)
	}
	return data, nil
}

// protoParcel is a parcel that shows what stands further out the message as protobuf does:
// loggers and validators that know no more than proto.Message find it in there.
type protoParcel struct {
	parcel
	protoreflect.ProtoMessage
}

// pack returns a parcel with a message to be hashed as it is sent.
func pack(message any, sent *content) any {
	sealed, p := parcelOf(message)
	p.sent = sent
	return sealed
}

// packed returns a parcel with a message that was serialized.
func packed(message any, data mem.BufferSlice) any {
	sealed, p := parcelOf(message)
	p.data = data
	p.packed.Store(true)
	return sealed
}

// parcelOf returns a parcel as others see it, and its inside.
func parcelOf(message any) (any, *parcel) {
	if m, ok := message.(protoreflect.ProtoMessage); ok {
		p := &protoParcel{parcel{message: message}, m}
		return p, &p.parcel
	}
	p := &parcel{message: message}
	return p, p
}
