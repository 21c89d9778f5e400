// Copyright: (c) 2026, polystore.storage contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the crate `fastdfs` sees of a FastDFS: drive-fastdfs IP:PORT[,IP:PORT...] 5.11|6.6|6.12|6.15
//!
//! The second word is the oldest version that the crate knows with the server's records. One line a step:
//! {"step": NAME, "ok": ANSWER} or {"step": NAME, "err": ERROR}, both as Rust's texts; an id is told by what is not
//! drawn by lot. A pool keeps what the server has closed, so what is refused as invalid gets a client of its own.

use fastdfs::types::{Metadata, MetadataFlag, StorageServer};
use fastdfs::{ClientOptions, FdfsClient, FileId, Result, TrackerClient, Version};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

const TEXT: &[u8] = b"hello fastdfs\n";
const LARGE: u32 = 3 << 20;

struct Drive {
    trackers: Vec<String>,
    version: Version,
    client: FdfsClient,
}

fn tell<T: Debug>(step: &str, answer: Result<T>) {
    match answer {
        Ok(shown) => println!("{{\"step\": {:?}, \"ok\": {:?}}}", step, format!("{:?}", shown)),
        Err(error) => println!("{{\"step\": {:?}, \"err\": {:?}}}", step, error.to_string()),
    }
}

fn tell_id(step: &str, answer: Result<FileId>) -> Option<FileId> {
    let id = answer.as_ref().ok().cloned();
    tell(
        step,
        answer.map(|made| {
            let text = made.to_string();
            let name = text.find('/').map_or(0, |slash| slash + 1);
            let tail = text[name + 37..].trim_start_matches(|c: char| c.is_ascii_digit());
            (text[..name + 3].to_owned(), tail.to_owned(), text.len())
        }),
    );
    id
}

fn pairs(texts: &[(&str, &str)]) -> Metadata {
    texts.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn in_order(found: Metadata) -> BTreeMap<String, String> {
    found.into_iter().collect()
}

fn place(server: StorageServer) -> (String, u16, u8) {
    (server.ip_addr, server.port, server.store_path_index)
}

impl Drive {
    fn new(trackers: &str, version: &str) -> Result<Drive> {
        let trackers: Vec<String> = trackers.split(',').map(str::to_owned).collect();
        let version = match version {
            "5.11" => Version::V511,
            "6.6" => Version::V606,
            "6.12" => Version::V6122,
            _ => Version::latest(),
        };
        let client = Drive::client(&trackers, version)?;
        Ok(Drive { trackers, version, client })
    }

    fn client(trackers: &[String], version: Version) -> Result<FdfsClient> {
        ClientOptions::new(trackers.to_vec()).version(version).build()
    }

    /// A client that nothing was sent with.
    fn fresh(&self) -> Result<FdfsClient> {
        Drive::client(&self.trackers, self.version)
    }

    async fn lists(&self) {
        let groups = self.client.list_groups().await;
        tell(
            "list groups",
            groups.map(|all| {
                let shown = all.iter().map(|group| {
                    let servers = (group.readable_server_count, group.writable_server_count);
                    let name = group.group_name.clone();
                    (name, group.storage_count, group.storage_port, group.store_path_count, servers.0, servers.1)
                });
                shown.collect::<Vec<_>>()
            }),
        );
        let storages = self.client.list_storages::<_, &str>("group1", None).await;
        tell(
            "list storages",
            storages.map(|all| {
                let shown = all.iter().map(|one| (one.ip_addr.clone(), one.status(), one.version.clone(), one.storage_port));
                shown.collect::<Vec<_>>()
            }),
        );
        let nothing = self.client.list_storages::<_, &str>("nogroup", None).await;
        tell("list storages, no such group", nothing.map(|all| all.len()));
    }

    async fn tracker(&self, file: &FileId) -> Result<()> {
        let all = |found: Vec<StorageServer>| found.into_iter().map(place).collect::<Vec<_>>();
        let mut tracker = TrackerClient::connect(self.trackers[0].as_str()).await?;
        tell("tracker store one", tracker.get_store_storage::<&str>(None).await.map(place));
        tell("tracker store one, group", tracker.get_store_storage(Some("group1")).await.map(place));
        tell("tracker store one, no such group", tracker.get_store_storage(Some("nogroup")).await.map(place));
        tell("tracker store all", tracker.get_store_storages::<&str>(None).await.map(all));
        tell("tracker store all, group", tracker.get_store_storages(Some("group1")).await.map(all));
        tell("tracker fetch", tracker.get_fetch_storage(file).await.map(place));
        tell("tracker fetch all", tracker.get_fetch_storages(file).await.map(all));
        tell("tracker update", tracker.get_update_storage(file).await.map(place));
        tell("tracker active test", tracker.active_test().await);
        Ok(())
    }

    async fn normal(&self, file: &FileId) -> Result<()> {
        let client = &self.client;
        tell("metadata of upload", client.get_metadata(file).await.map(in_order));
        tell("file exists", client.file_exists(file).await);
        let info = client.get_file_info(file).await;
        tell("file info", info.map(|found| (found.file_size, found.crc32, found.source_ip_addr)));
        tell("download", client.download_file_buf(file, 0, 0).await);
        tell("download range", client.download_file_buf(file, 6, 7).await);
        tell("download to the end", client.download_file_buf(file, 6, 0).await);
        tell("download past the end", self.fresh()?.download_file_buf(file, 6, 1000).await);
        let (all, some) = (pairs(&[("b", "2"), ("a", "1"), ("ä", "ö")]), pairs(&[("a", "9"), ("c", "3")]));
        tell("metadata overwrite", client.set_metadata(file, &all, MetadataFlag::Overwrite).await);
        tell("metadata", client.get_metadata(file).await.map(in_order));
        tell("metadata merge", client.set_metadata(file, &some, MetadataFlag::Merge).await);
        tell("metadata merged", client.get_metadata(file).await.map(in_order));
        tell("metadata clear", client.set_metadata(file, &pairs(&[]), MetadataFlag::Overwrite).await);
        tell("metadata cleared", client.get_metadata(file).await.map(in_order));
        Ok(())
    }

    async fn large(&self) -> Result<Option<FileId>> {
        let data: Vec<u8> = (0..LARGE).map(|at| (at.wrapping_mul(2_246_822_519) >> 23) as u8).collect();
        let path: PathBuf = std::env::temp_dir().join(format!("drive-{}.bin", std::process::id()));
        let here = path.to_string_lossy().into_owned();
        std::fs::write(&path, &data)?;
        let made = tell_id("upload 3 MiB file", self.client.upload_file_local(&here, None, false).await);
        std::fs::write(&path, b"")?;
        if let Some(file) = &made {
            tell("download to a file", self.client.download_file_local(file, &here).await);
            tell("file came back whole", Ok(std::fs::read(&path)? == data));
        }
        std::fs::remove_file(&path)?;
        Ok(made)
    }

    async fn empty(&self) -> Result<Option<FileId>> {
        let made = tell_id("upload empty file", self.client.upload_file_buf(b"", "txt", None, false).await);
        if let Some(file) = &made {
            let info = self.client.get_file_info(file).await;
            tell("empty file info", info.map(|found| (found.file_size, found.crc32)));
            tell("download empty file", self.fresh()?.download_file_buf(file, 0, 0).await);
        }
        Ok(made)
    }

    async fn appender(&self, normal: &FileId) -> Result<Option<FileId>> {
        let client = &self.client;
        let made = tell_id("upload appender", client.upload_file_buf(b"0123456789", "log", None, true).await);
        let Some(file) = &made else { return Ok(None) };
        tell("append", client.append_file_buf(file, b"abcdef").await);
        tell("append, whole", client.download_file_buf(file, 0, 0).await);
        tell("modify", client.modify_file_buf(file, 8, b"XYZ").await);
        tell("modify, whole", client.download_file_buf(file, 0, 0).await);
        tell("modify past the end", self.fresh()?.modify_file_buf(file, 100, b"XYZ").await);
        tell("truncate", client.truncate_file(file, 5).await);
        tell("truncate, whole", client.download_file_buf(file, 0, 0).await);
        tell("appender info", client.get_file_info(file).await.map(|found| (found.file_size, found.crc32)));
        tell("append to a normal file", self.fresh()?.append_file_buf(normal, b"x").await);
        let named = tell_id("regenerate appender name", client.regenerate_appender_filename(file).await);
        tell("old appender id is gone", client.download_file_buf(file, 0, 0).await);
        Ok(named)
    }

    async fn ends(&self, files: &[FileId], last: &FileId) {
        let client = &self.client;
        for file in files {
            tell("delete", client.delete_file(file).await);
        }
        tell("delete again", client.delete_file(last).await);
        tell("download deleted", client.download_file_buf(last, 0, 0).await);
        tell("file exists deleted", client.file_exists(last).await);
        tell("metadata deleted", client.get_metadata(last).await.map(in_order));
        println!("{{\"step\": \"done\"}}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let drive = Drive::new(&words[1], words.get(2).map_or("", String::as_str))?;
    drive.lists().await;
    let with = pairs(&[("author", "me"), ("width", "10")]);
    let made = drive.client.upload_file_buf(TEXT, "txt", Some(&with), false).await;
    let Some(normal) = tell_id("upload bytes", made) else { return Ok(()) };
    drive.tracker(&normal).await?;
    drive.normal(&normal).await?;
    let large = drive.large().await?;
    let empty = drive.empty().await?;
    let named = drive.appender(&normal).await?;
    let files: Vec<FileId> = [named, empty, large, Some(normal.clone())].into_iter().flatten().collect();
    drive.ends(&files, &normal).await;
    Ok(())
}
