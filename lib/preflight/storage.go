package preflight

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"iwx/lib/fault"
	"iwx/lib/nfs"
)

// storageProbes are those of the shared storage for the role. A manager serves
// it, or mounts it as the nodes do when the server is outside the cluster.
func (s Server) storageProbes() []Probe {
	if s.Role == Manager && s.Storage.Server == "" {
		return []Probe{{NameNFSServer, s.nfsServer}, {NameStorage, s.shares}}
	}
	return []Probe{{NameNFSClient, s.nfsClient}, {NameStorage, s.mounts}}
}

// unshared is the answer where there is no shared storage to check.
func (s Server) unshared() (r Result, yes bool) {
	if s.Paths.Own() {
		return ownRoot(), true
	}
	return skip("[storage] enabled is false in %s", s.Paths.Config), !s.Storage.Enabled
}

func (s Server) nfsClient(context.Context) Result {
	if r, yes := s.unshared(); yes {
		return r
	}
	r := s.required(part{"the NFS client", []string{"sbin/mount.nfs", "usr/sbin/mount.nfs"}, "nfs-common", "nfs-utils"})
	if r.Status == OK && !s.kernelHas("nfs4", "fs/nfs/nfsv4") {
		return fail("use a kernel with CONFIG_NFS_V4_2", "the kernel has no NFS 4 client")
	}
	return r
}

// nfsServer also looks whether version 4.2 was switched off, nfs.conf(5); a
// server that does not run does not tell.
func (s Server) nfsServer(context.Context) Result {
	if r, yes := s.unshared(); yes {
		return r
	}
	r := s.required(part{"the NFS server", []string{"sbin/rpc.nfsd", "usr/sbin/rpc.nfsd"}, "nfs-kernel-server", "nfs-utils"})
	switch versions := s.read("proc/fs/nfsd/versions"); {
	case r.Status != OK:
		return r
	case !s.kernelHas("nfsd", "fs/nfsd/nfsd"):
		return fail("use a kernel with CONFIG_NFSD_V4", "the kernel has no NFS server")
	case versions != "" && !strings.Contains(versions, "+4.2"):
		return fail("set vers4=y and vers4.2=y under [nfsd] in /etc/nfs.conf, then: systemctl restart nfs-server",
			"the NFS server does not serve version 4.2 (%s)", versions)
	}
	return r
}

// required is present, for what is needed at once.
func (s Server) required(p part) Result {
	r := s.present(p)
	if r.Status == Warn {
		r.Status = Fail
		r.Remedy += "; or share nothing: [storage] enabled = false in " + s.Paths.Config
	}
	return r
}

// kernelHas reports whether the kernel knows the file system, or can load its
// module. Where no modules are to be seen, as in a container, it gets the
// benefit of the doubt.
func (s Server) kernelHas(filesystem, module string) bool {
	dir := "lib/modules/" + s.Facts.Kernel
	known := strings.Contains(s.read("proc/filesystems")+"\n", "\t"+filesystem+"\n")
	builtin := strings.Contains(s.read(dir+"/modules.builtin"), "/"+module+".ko")
	return known || builtin || !s.exists(dir) || s.exists(dir+"/kernel/"+module+".ko*")
}

// shares looks at the directories that the manager is to export.
func (s Server) shares(context.Context) Result {
	if r, yes := s.unshared(); yes {
		return r
	}
	for _, path := range s.Storage.Paths() {
		if err := nfs.CheckShare(s.Sys, path); err != nil {
			return fail(fault.HintOf(err), "%v", err)
		}
	}
	return ok("%s can be exported", strings.Join(s.Storage.Paths(), " "))
}

// mounts looks at the mount points, and mounts each share that comes from
// outside the cluster once, to see whether that works. What comes from the
// manager cannot be tried before it knows this server: of that, setup tells at
// its end.
func (s Server) mounts(ctx context.Context) Result {
	if r, yes := s.unshared(); yes {
		return r
	}
	info, err := os.ReadFile(filepath.Join(s.Sys, "proc/self/mountinfo"))
	if err != nil {
		return warn("", "cannot list the mounts: %v", err)
	}
	mounted := nfs.ParseMounts(string(info))
	for _, share := range s.Storage.Shares {
		m := nfs.Mount{Path: share.Path}
		if s.Storage.Server != "" {
			m.Source = nfs.Source(s.Storage.Server, share.Source())
		}
		if err := nfs.CheckMountPoint(s.Sys, mounted, m); err != nil {
			return fail(fault.HintOf(err), "%v", err)
		}
		if m.Source == "" {
			continue
		}
		if err := nfs.Try(ctx, s.Command, filepath.Join(s.Sys, "run"), m.Source); err != nil {
			return fail("see that the server exports it to this address, and that port 2049 is open", "%s cannot be mounted: %v", m.Source, err)
		}
	}
	if s.Storage.Server != "" {
		return ok("%s can be mounted from %s", strings.Join(s.Storage.Paths(), " "), s.Storage.Server)
	}
	return ok("no other mounts or files are at %s", strings.Join(s.Storage.Paths(), " "))
}
