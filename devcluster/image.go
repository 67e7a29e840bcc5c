package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	image "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageArchive returns a tar archive in the OCI image layout with one image that has two names, pauseImage and workloadImage. Its only
// layer holds the program as /workload, and an empty /tmp.
func imageArchive(program string) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	layer, err := archive(
		entry{header: tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}},
		entry{header: tar.Header{Name: "workload", Mode: 0o755}, content: content},
	)
	if err != nil {
		return nil, err
	}
	l := layout{}
	described := l.add(image.MediaTypeImageLayer, layer)
	config, err := l.addJSON(image.MediaTypeImageConfig, image.Image{
		Platform: image.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		// Nobody's number, so that pods that may not run as root need not say who they are.
		Config: image.ImageConfig{Entrypoint: []string{"/workload"}, User: "65532:65532"},
		RootFS: image.RootFS{Type: "layers", DiffIDs: []digest.Digest{described.Digest}},
	})
	if err != nil {
		return nil, err
	}
	version := specs.Versioned{SchemaVersion: 2}
	manifest, err := l.addJSON(image.MediaTypeImageManifest, image.Manifest{
		Versioned: version,
		MediaType: image.MediaTypeImageManifest,
		Config:    config,
		Layers:    []image.Descriptor{described},
	})
	if err != nil {
		return nil, err
	}
	index := image.Index{Versioned: version, MediaType: image.MediaTypeImageIndex}
	for _, name := range []string{pauseImage, workloadImage} {
		named := manifest
		named.Annotations = map[string]string{"io.containerd.image.name": name}
		index.Manifests = append(index.Manifests, named)
	}
	if err := l.putJSON(image.ImageIndexFile, index); err != nil {
		return nil, err
	}
	if err := l.putJSON(image.ImageLayoutFile, image.ImageLayout{Version: image.ImageLayoutVersion}); err != nil {
		return nil, err
	}
	return archive(l...)
}

// layout is the files of an image layout.
type layout []entry

// add adds a blob and returns what describes it.
func (l *layout) add(mediaType string, blob []byte) image.Descriptor {
	d := digest.FromBytes(blob)
	name := path.Join(image.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
	*l = append(*l, entry{header: tar.Header{Name: name, Mode: 0o644}, content: blob})
	return image.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(blob))}
}

func (l *layout) addJSON(mediaType string, object any) (image.Descriptor, error) {
	blob, err := json.Marshal(object)
	return l.add(mediaType, blob), err
}

func (l *layout) putJSON(name string, object any) error {
	content, err := json.Marshal(object)
	*l = append(*l, entry{header: tar.Header{Name: name, Mode: 0o644}, content: content})
	return err
}

// entry is a file or directory of a tar archive.
type entry struct {
	header  tar.Header
	content []byte
}

func archive(entries ...entry) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, e := range entries {
		e.header.Size = int64(len(e.content))
		if err := writer.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
