// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// codecOf returns the codec that a call would be written with, as grpc-go finds it: the
// last of the options, or the one registered for the content-subtype.
func codecOf(opts []grpc.CallOption) (encoding.CodecV2, error) {
	var chosen encoding.CodecV2
	subtype := ""
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.ForceCodecV2CallOption:
			chosen = o.CodecV2
		case grpc.ForceCodecCallOption:
			chosen = codecV1{o.Codec, o.Codec.Name()}
		case grpc.CustomCodecCallOption:
			chosen = codecV1{o.Codec, ""}
		case grpc.ContentSubtypeCallOption:
			subtype = o.ContentSubtype
		}
	}
	switch {
	case chosen != nil:
		return chosen, nil
	case subtype == "":
		return unnamed{registered(proto.Name)}, nil
	}
	if c := registered(subtype); c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.Internal, "no codec registered for content-subtype %s", subtype)
}

// registered returns the codec of a content-subtype, whichever of grpc-go's interfaces it
// has; nil if there is none.
func registered(subtype string) encoding.CodecV2 {
	if c := encoding.GetCodec(subtype); c != nil {
		return codecV1{c, c.Name()}
	}
	return encoding.GetCodecV2(subtype)
}

// unnamed is a codec that nobody asked for: it adds no content-subtype to the call.
type unnamed struct{ encoding.CodecV2 }

// Name implements encoding.CodecV2.
func (unnamed) Name() string { return "" }

// codecV1 is a codec of grpc-go's first interface, or of the one before it.
type codecV1 struct {
	codec interface {
		Marshal(v any) ([]byte, error)
		Unmarshal(data []byte, v any) error
	}
	name string
}

// Name implements encoding.CodecV2.
func (c codecV1) Name() string { return c.name }

// Marshal implements encoding.CodecV2.
func (c codecV1) Marshal(v any) (mem.BufferSlice, error) {
	data, err := c.codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codecV1) Unmarshal(data mem.BufferSlice, v any) error {
	return c.codec.Unmarshal(data.Materialize(), v)
}
