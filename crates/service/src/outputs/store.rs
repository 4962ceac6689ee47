//! Where the folders of a ComfyUI are, as it last said.

use crate::{Error, database::Store};

impl Store {
    /// The output folder of the ComfyUI at an address.
    pub(crate) async fn output_folder(&self, url: &str) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar!("SELECT output FROM comfyui_folders WHERE url = ?", url)
            .fetch_optional(&self.pool)
            .await?)
    }

    /// Keeps it, or forgets it where it is not on this machine.
    pub(crate) async fn keep_output_folder(&self, url: &str, folder: Option<&str>) -> Result<(), Error> {
        match folder {
            Some(folder) => {
                sqlx::query!("INSERT OR REPLACE INTO comfyui_folders (url, output) VALUES (?, ?)", url, folder)
                    .execute(&self.pool)
                    .await?
            }
            None => sqlx::query!("DELETE FROM comfyui_folders WHERE url = ?", url).execute(&self.pool).await?,
        };
        Ok(())
    }
}
